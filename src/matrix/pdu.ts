import type { LooseNumber } from '../base/json/loose-number.ts';
import type { EventId, RoomId, UserId } from './ids.ts';
import type { ServerName } from './server-name.ts';

export type JsonObject = { [key: string]: unknown };

/** server → key id → unpadded base64 signature. */
export type Signatures = { [server: string]: { [keyId: string]: string } };

/**
 * How an event names another one: by its id, or, where servers give the ids, by a pair of the id and its hashes (room versions 1 and 2,
 * "Event format"). We write the reference hash there, and read nothing from it: as other servers do, we take the event that has the id.
 */
export type EventReference = EventId | readonly [eventId: EventId, hashes: unknown];

/**
 * A persistent data unit as it goes over the wire, after its format was checked for its room version
 * (room versions 3 and later: no `event_id`; 12: no `room_id` on the create event). Unknown fields are kept.
 */
export interface Pdu {
  type: string;
  /** The event's id in room versions 1 and 2 only; whatever others have there means nothing. `RoomEvent` has the id. */
  event_id?: EventId;
  sender: UserId;
  room_id?: RoomId;
  state_key?: string;
  content: JsonObject;
  /** To be read by `depthOf`. */
  depth: number | LooseNumber;
  /** Unix milliseconds, to be read by `originServerTsOf`. */
  origin_server_ts: number | LooseNumber;
  /** To be read by `prevEventIdsOf`. */
  prev_events: readonly EventReference[];
  /** To be read by `authEventIdsOf`. */
  auth_events: readonly EventReference[];
  hashes: { sha256: string };
  signatures: Signatures;
  /** Only before room version 11; from then on it stands in `content`. */
  redacts?: EventId;
  origin?: ServerName;
  unsigned?: JsonObject;
  [key: string]: unknown;
}

/** A PDU with what follows from it: its id (given or the reference hash), its room, its room's version. */
export interface RoomEvent {
  readonly eventId: EventId;
  readonly roomId: RoomId;
  readonly roomVersion: string;
  readonly pdu: Readonly<Pdu>;
}

/** A state event: it has a `state_key`. */
export type StateEvent = RoomEvent & { readonly pdu: Readonly<Pdu> & { readonly state_key: string } };

export function isStateEvent(event: RoomEvent): event is StateEvent {
  return typeof event.pdu.state_key === 'string';
}

/** At most 2^53 - 1: the early room versions have depths up to 2^63 - 1, and servers have made use of it to stand behind everybody else. */
export function depthOf(pdu: Readonly<Pdu>): number {
  return toSafeInteger(pdu.depth);
}

/** Unix milliseconds, within ±(2^53 - 1). */
export function originServerTsOf(pdu: Readonly<Pdu>): number {
  return toSafeInteger(pdu.origin_server_ts);
}

function toSafeInteger(value: number | LooseNumber): number {
  if (typeof value === 'number') return value;
  return Math.max(Number.MIN_SAFE_INTEGER, Math.min(Number(value), Number.MAX_SAFE_INTEGER));
}

/** The events that stand directly before this one, as it says. */
export function prevEventIdsOf(pdu: Readonly<Pdu>): readonly EventId[] {
  return idsOf(pdu.prev_events);
}

/** The events that allow this one, as it says. */
export function authEventIdsOf(pdu: Readonly<Pdu>): readonly EventId[] {
  return idsOf(pdu.auth_events);
}

function idsOf(references: readonly EventReference[]): readonly EventId[] {
  return areIds(references) ? references : references.map((reference) => idOf(reference));
}

/** A list has one form throughout: that of its room version. */
function areIds(references: readonly EventReference[]): references is readonly EventId[] {
  return references.length === 0 || typeof references[0] === 'string';
}

function idOf(reference: EventReference): EventId {
  return typeof reference === 'string' ? reference : reference[0];
}

/**
 * One string for (type, state_key), injective: the type's length stands first, so no two pairs collide
 * whatever characters they hold.
 */
export type StateKey = string & { readonly __brand: 'StateKey' };

export function stateKeyOf(type: string, stateKey: string): StateKey {
  return `${type.length}|${type}${stateKey}` as StateKey;
}

/** The pair that `stateKeyOf` was made of. */
export function splitStateKey(key: StateKey): { type: string; stateKey: string } {
  const bar = key.indexOf('|');
  const typeEnd = bar + 1 + Number(key.slice(0, bar));
  return { type: key.slice(bar + 1, typeEnd), stateKey: key.slice(typeEnd) };
}

/** The state of a room at one place: which event holds for each (type, state_key). */
export type StateMap = ReadonlyMap<StateKey, EventId>;

/** Server-server API, "Size limits": the whole event as canonical JSON, signatures included. */
export const pduBytesMax = 65_536;
export const prevEventsMax = 20;
export const authEventsMax = 10;

import type { EventId, RoomId, UserId } from './ids.ts';
import type { ServerName } from './server-name.ts';

export type JsonObject = { [key: string]: unknown };

/** server → key id → unpadded base64 signature. */
export type Signatures = { [server: string]: { [keyId: string]: string } };

/**
 * A persistent data unit as it goes over the wire, after its format was checked for its room version
 * (room versions 3 and later: no `event_id`; 12: no `room_id` on the create event). Unknown fields are kept.
 */
export interface Pdu {
  type: string;
  sender: UserId;
  room_id?: RoomId;
  state_key?: string;
  content: JsonObject;
  depth: number;
  origin_server_ts: number;
  prev_events: EventId[];
  auth_events: EventId[];
  hashes: { sha256: string };
  signatures: Signatures;
  /** Only before room version 11; from then on it stands in `content`. */
  redacts?: EventId;
  origin?: ServerName;
  unsigned?: JsonObject;
  [key: string]: unknown;
}

/** A PDU with what follows from it: its id (the reference hash), its room, its room's version. */
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

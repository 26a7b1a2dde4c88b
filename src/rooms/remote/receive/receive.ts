import { Serial, SerialFullError } from '../../../base/tasks/serial.ts';
import { parseReceivedPdu } from '../../../engine/event/parse.ts';
import type { PduVerdict } from '../../../engine/verdict.ts';
import type { EventId, RoomId } from '../../../matrix/ids.ts';
import type { RoomEvent } from '../../../matrix/pdu.ts';
import { findRoomVersion, type RoomVersion } from '../../../matrix/room-versions.ts';
import type { ServerName } from '../../../matrix/server-name.ts';
import { isServerAllowed } from '../../core/server-access.ts';
import { checkSigned, type IncomingEvent } from '../../core/verify-events.ts';
import type { RemoteCore } from '../remote-core.ts';
import { judgeInOrder } from './judge-in-order.ts';
import { takeEndOfPending } from './receive-invite.ts';
import type { ReceivedPdu } from './receive-types.ts';
import type { EventToKeep, WaitingEvents } from './waiting-events.ts';

export interface ReceiveRequest {
  readonly origin: ServerName;
  readonly roomId: RoomId;
  readonly pdus: readonly IncomingEvent[];
}

export interface Receiver {
  /**
   * The checks of the specification for the PDUs of one room in a transaction, by index of what was given. Nobody is asked for anything: what
   * cannot be judged by what is here is stored and waits. One bad event never spoils another. Rejects only for a bug.
   */
  receivePdus(request: ReceiveRequest): Promise<ReceivedPdu[]>;
  /** Resolves when nothing is under way. */
  idle(): Promise<void>;
}

export type ReceiveDeps = RemoteCore & {
  readonly waiting: Pick<WaitingEvents, 'keep'>;
  /** The version of a room that a user of ours is about to join through another server, once it is told. */
  readonly findJoining: (roomId: RoomId) => RoomVersion | undefined;
};

/** Transactions of one server and room that may wait for the one that is being taken in; more are turned away. */
const waitingMax = 100;

export function createReceiver(deps: ReceiveDeps): Receiver {
  const lanes = new Serial({ waitingMax });
  return {
    receivePdus: (request) => receive(deps, lanes, request),
    idle: () => lanes.idle(),
  };
}

async function receive(deps: ReceiveDeps, lanes: Serial, request: ReceiveRequest): Promise<ReceivedPdu[]> {
  const { roomId, pdus } = request;
  const joining = isIn(deps, roomId) ? undefined : deps.findJoining(roomId);
  const version = joining ?? findRoomVersion((await deps.storage.rooms.find(roomId))?.version);
  if (!version) return refuseUnknown(deps, request);
  const refusal = joining ? undefined : await findRefusal(deps, request);
  const results = new Map<number, ReceivedPdu>();
  const events = new Map<number, RoomEvent>();
  for (const [index, json] of pdus.entries()) {
    const parsed = parseReceivedPdu(json, version, { keepsText: true });
    if (parsed.outcome === 'malformed') results.set(index, dropped(undefined, parsed.reason));
    else if (parsed.event.roomId !== roomId) results.set(index, dropped(parsed.event.eventId, 'it is of another room'));
    else if (refusal !== undefined) results.set(index, dropped(parsed.event.eventId, refusal));
    else events.set(index, parsed.event);
  }
  if (refusal === notInRoom) await takeEndsOfPending(deps, request, version);
  const unique = [...new Map([...events.values()].map((event) => [event.eventId, event])).values()];
  const verdicts = joining
    ? await keepForJoin(deps, request, unique)
    : await inLane(lanes, `${roomId} ${request.origin}`, () => takeIn(deps, request, { version, events: unique }));
  for (const [index, { eventId }] of events) {
    const verdict = verdicts?.get(eventId);
    const reason = verdicts ? 'it is not signed, or part of a circle' : 'too much of this room waits here';
    results.set(index, verdict ? { eventId, verdict } : dropped(eventId, reason));
  }
  return pdus.map((_, index) => results.get(index) ?? dropped(undefined, 'it was not judged'));
}

function dropped(eventId: EventId | undefined, reason: string): ReceivedPdu {
  return { eventId, verdict: { verdict: 'dropped', reason } };
}

function isIn(deps: ReceiveDeps, roomId: RoomId): boolean {
  return deps.roster.usersOfServerIn(roomId, deps.serverName).size > 0;
}

const notInRoom = 'this server is not in the room';

/** Why nothing of this origin is taken for this room. */
async function findRefusal(deps: ReceiveDeps, { origin, roomId }: ReceiveRequest): Promise<string | undefined> {
  if (!isIn(deps, roomId)) return notInRoom;
  return (await isServerAllowed(deps.storage, roomId, origin)) ? undefined : 'the origin is kept out of the room';
}

/** Rooms of which no event is known: the newest version tells the ids as well as any. */
async function refuseUnknown(deps: ReceiveDeps, request: ReceiveRequest): Promise<ReceivedPdu[]> {
  const results: ReceivedPdu[] = [];
  for (const incoming of request.pdus) {
    const taken = await takeEndOfPending(deps, request, incoming);
    results.push(taken ?? dropped(undefined, notInRoom));
  }
  return results;
}

async function takeEndsOfPending(deps: ReceiveDeps, request: ReceiveRequest, version: RoomVersion): Promise<void> {
  for (const incoming of request.pdus) await takeEndOfPending(deps, { ...request, version }, incoming);
}

/** Undefined when too many transactions of the server and the room wait already. */
async function inLane<T>(lanes: Serial, lane: string, task: () => Promise<T>): Promise<T | undefined> {
  try {
    return await lanes.run(lane, task);
  } catch (error) {
    if (error instanceof SerialFullError) return undefined;
    throw error;
  }
}

type Verdicts = ReadonlyMap<EventId, PduVerdict>;

/** What arrives while the room is being joined belongs behind the join: it waits for that. */
async function keepForJoin(
  deps: ReceiveDeps,
  { origin, roomId }: ReceiveRequest,
  events: readonly RoomEvent[],
): Promise<Verdicts> {
  const kept = events.map((event): EventToKeep => ({ event, isVerified: false, missing: [] }));
  await deps.waiting.keep({ origin, roomId, ask: false }, kept);
  return new Map(events.map(({ eventId }) => [eventId, { verdict: 'waiting', missing: [] }]));
}

/** Judges what can be judged by what is here; the rest is stored and waits. */
async function takeIn(
  deps: ReceiveDeps,
  { origin, roomId }: ReceiveRequest,
  { version, events }: { readonly version: RoomVersion; readonly events: readonly RoomEvent[] },
): Promise<Verdicts> {
  const signed = await checkSigned(deps, events, { version, ask: false });
  const verdicts = new Map(await judgeInOrder(deps, signed.good));
  // As it came: a copy with a wrong hash lost what it has.
  const asItCame = new Map(events.map((event) => [event.eventId, event]));
  const kept: EventToKeep[] = signed.unknown.map((event) => ({ event, isVerified: false, missing: [] }));
  for (const [eventId, verdict] of verdicts) {
    const event = asItCame.get(eventId);
    if (event && verdict.verdict === 'waiting') kept.push({ event, isVerified: true, missing: verdict.missing });
  }
  for (const { eventId } of signed.unknown) verdicts.set(eventId, { verdict: 'waiting', missing: [] });
  if (kept.length > 0) await deps.waiting.keep({ origin, roomId, ask: true }, kept);
  return verdicts;
}

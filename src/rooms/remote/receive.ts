import { Serial, SerialFullError } from '../../base/serial.ts';
import { parsePdu } from '../../engine/event/parse.ts';
import { sortByPrevEvents } from '../../engine/graph/topological.ts';
import type { PduVerdict } from '../../engine/verdict.ts';
import { MatrixError } from '../../matrix/errors.ts';
import type { EventId, RoomId } from '../../matrix/ids.ts';
import { authEventIdsOf, prevEventIdsOf, type RoomEvent } from '../../matrix/pdu.ts';
import { findRoomVersion, type RoomVersion } from '../../matrix/room-versions.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import { acceptEvent } from '../core/accept-event.ts';
import type { RoomsCore } from '../core/deps.ts';
import { isServerAllowed } from '../core/server-access.ts';
import { type IncomingEvent, verifyEvents } from '../core/verify-events.ts';
import { type FetchFrom, fetchAuthEvents } from './fetch-events.ts';
import { fillMissing, type Help } from './missing-events.ts';
import { takeBackInvite } from './receive-invite.ts';
import type { ReceivedPdu } from './receive-types.ts';

export interface ReceiveRequest {
  readonly origin: ServerName;
  readonly roomId: RoomId;
  readonly pdus: readonly IncomingEvent[];
}

export interface Receiving {
  /** Resolves when all that needs nothing from other servers has its verdict. Never rejects. */
  readonly judgedLocally: Promise<void>;
  /** By index of what was given. Rejects only for a bug. */
  readonly results: Promise<ReceivedPdu[]>;
}

export interface Receiver {
  /** The checks of the specification for the PDUs of one room in a transaction. One bad event never spoils another. */
  receivePdus(request: ReceiveRequest): Receiving;
  /** Resolves when nothing is under way. */
  idle(): Promise<void>;
}

export type ReceiveDeps = RoomsCore & {
  /** Resolves when no join of this room is under way: what arrives meanwhile belongs behind it. */
  readonly joinsDone: (roomId: RoomId) => Promise<void>;
};

/** Transactions of one server and room that may wait for the one that is being taken in; more are turned away. */
const waitingMax = 100;

export function createReceiver(deps: ReceiveDeps): Receiver {
  const staging = new Serial({ waitingMax });
  return {
    receivePdus(request) {
      let judged: () => void = () => undefined;
      const judgedLocally = new Promise<void>((resolve) => {
        judged = resolve;
      });
      const results = receive(deps, staging, request, judged).finally(judged);
      return { judgedLocally, results };
    },
    idle: () => staging.idle(),
  };
}

async function receive(
  deps: ReceiveDeps,
  staging: Serial,
  request: ReceiveRequest,
  judged: () => void,
): Promise<ReceivedPdu[]> {
  const { roomId, pdus } = request;
  await deps.joinsDone(roomId);
  const refusal = await findRefusal(deps, request);
  const version = findRoomVersion((await deps.storage.rooms.find(roomId))?.version);
  if (!version) return refuseUnknown(deps, request);
  const results = new Map<number, ReceivedPdu>();
  const events = new Map<number, RoomEvent>();
  for (const [index, json] of pdus.entries()) {
    const parsed = parsePdu(json, version);
    if (parsed.outcome === 'malformed') results.set(index, dropped(undefined, parsed.reason));
    else if (parsed.event.roomId !== roomId) results.set(index, dropped(parsed.event.eventId, 'it is of another room'));
    else if (refusal !== undefined) results.set(index, dropped(parsed.event.eventId, refusal));
    else events.set(index, parsed.event);
  }
  if (refusal === notInRoom) await takeBackInvites(deps, request, version);
  const verified = await verifyEvents(deps, [...events.values()], version);
  // A server that is slow to give what its events need holds up only what it sends itself.
  const verdicts = await stage(staging, `${roomId} ${request.origin}`, () =>
    takeIn(deps, { server: request.origin, roomId, version }, verified, judged),
  );
  for (const [index, { eventId }] of events) {
    const verdict = verdicts?.get(eventId);
    const reason = verdicts ? 'it is not signed' : 'too much of this room waits here';
    results.set(index, verdict ? { eventId, verdict } : dropped(eventId, reason));
  }
  return pdus.map((_, index) => results.get(index) ?? dropped(undefined, 'it was not judged'));
}

function dropped(eventId: EventId | undefined, reason: string): ReceivedPdu {
  return { eventId, verdict: { verdict: 'dropped', reason } };
}

const notInRoom = 'this server is not in the room';

/** Why nothing of this origin is taken for this room. */
async function findRefusal(deps: ReceiveDeps, { origin, roomId }: ReceiveRequest): Promise<string | undefined> {
  if (deps.roster.usersOfServerIn(roomId, deps.serverName).size === 0) return notInRoom;
  return (await isServerAllowed(deps.storage, roomId, origin)) ? undefined : 'the origin is kept out of the room';
}

/** Rooms of which no event is known: the newest version tells the ids as well as any. */
async function refuseUnknown(deps: ReceiveDeps, request: ReceiveRequest): Promise<ReceivedPdu[]> {
  const results: ReceivedPdu[] = [];
  for (const incoming of request.pdus) {
    const taken = await takeBackInvite(deps, request, incoming);
    results.push(taken ?? dropped(undefined, notInRoom));
  }
  return results;
}

async function takeBackInvites(deps: ReceiveDeps, request: ReceiveRequest, version: RoomVersion): Promise<void> {
  for (const incoming of request.pdus) await takeBackInvite(deps, { ...request, version }, incoming);
}

/** Undefined when too many transactions of the server and the room wait already. */
async function stage<T>(staging: Serial, lane: string, task: () => Promise<T>): Promise<T | undefined> {
  try {
    return await staging.run(lane, task);
  } catch (error) {
    if (error instanceof SerialFullError) return undefined;
    throw error;
  }
}

/** First what can be judged by what is here, then what other servers must be asked about. */
async function takeIn(
  deps: ReceiveDeps,
  from: FetchFrom,
  events: readonly RoomEvent[],
  judged: () => void,
): Promise<ReadonlyMap<EventId, PduVerdict>> {
  const verdicts = new Map<EventId, PduVerdict>();
  const waiting: RoomEvent[] = [];
  for (const event of await sortByPrevEvents(events)) {
    const verdict = await tryAccept(deps, event);
    verdicts.set(event.eventId, verdict);
    if (verdict.verdict === 'waiting') waiting.push(event);
  }
  judged();
  const help: Help = { answers: true, stateFetches: stateFetchesMax };
  for (const event of waiting) verdicts.set(event.eventId, await acceptWithHelp(deps, { from, help }, event));
  return verdicts;
}

/** States that are asked for because of one transaction: each may be as large as the room. */
const stateFetchesMax = 5;

async function acceptWithHelp(
  deps: ReceiveDeps,
  { from, help }: { readonly from: FetchFrom; readonly help: Help },
  event: RoomEvent,
): Promise<PduVerdict> {
  let verdict = await tryAccept(deps, event);
  if (verdict.verdict === 'waiting' && isMissing(verdict.missing, prevEventIdsOf(event.pdu)) && help.answers) {
    await fillMissing(deps, { ...from, help }, event);
    verdict = await tryAccept(deps, event);
  }
  if (verdict.verdict === 'waiting' && isMissing(verdict.missing, authEventIdsOf(event.pdu)) && help.answers) {
    await fetchAuthEvents(deps, from, event);
    verdict = await tryAccept(deps, event);
  }
  return verdict;
}

function isMissing(missing: readonly EventId[], among: readonly EventId[]): boolean {
  return among.some((eventId) => missing.includes(eventId));
}

/** A room that is too busy costs this event only; it is fetched when a later one names it. */
async function tryAccept(deps: ReceiveDeps, event: RoomEvent): Promise<PduVerdict> {
  try {
    return await deps.lock.run(event.roomId, () => acceptEvent(deps, event, { placement: 'timeline' }));
  } catch (error) {
    if (!(error instanceof MatrixError)) throw error;
    return { verdict: 'dropped', reason: error.message };
  }
}

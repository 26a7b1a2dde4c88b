import { FederationError } from '../../federation-out/requests-contract.ts';
import type { EventId, RoomId } from '../../matrix/ids.ts';
import {
  authEventIdsOf,
  isStateEvent,
  prevEventIdsOf,
  type RoomEvent,
  type StateKey,
  stateKeyOf,
} from '../../matrix/pdu.ts';
import type { RoomVersion } from '../../matrix/room-versions.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import type { RoomsCore } from '../core/deps.ts';
import { newPoint, resolvePoints, type StatePoint, storedPoint } from '../core/state-point.ts';
import { parseAndVerify, parseEvents, verifyEvents } from '../core/verify-events.ts';
import { importOutliers } from './import-outliers.ts';

export type FetchDeps = Pick<RoomsCore, 'storage' | 'clock' | 'requests' | 'checkSignatures' | 'log'>;

export interface FetchFrom {
  readonly server: ServerName;
  readonly roomId: RoomId;
  readonly version: RoomVersion;
}

/** So many missing events are asked for one by one; for more, the whole state or auth chain is cheaper. */
const singleRequestsMax = 20;
const concurrentMax = 5;
/** How many rounds of auth events behind auth events are followed. */
const authRoundsMax = 10;

/** What may still be asked of a server because of one attempt. */
export interface Help {
  /** False once it did not answer. */
  answers: boolean;
  /** How many more states may be asked for: each may be as large as the room. */
  stateFetches: number;
}

/** What another server should have had and did not give, so that an event cannot be judged. */
export class UnobtainableError extends Error {
  override name = 'UnobtainableError';
}

/**
 * Stores the auth events that an event lacks, with those behind them, as far as the server gives them. True if all of the
 * event's own are known then.
 */
export async function fetchAuthEvents(deps: FetchDeps, from: FetchFrom, event: RoomEvent): Promise<boolean> {
  const fetched = new Map<EventId, RoomEvent>();
  let missing = await listUnknown(deps, authEventIdsOf(event.pdu));
  for (let round = 0; missing.length > 0 && round < authRoundsMax; round++) {
    const answers =
      missing.length > singleRequestsMax
        ? await ask(() => deps.requests.getEventAuth(from.server, from.roomId, event.eventId))
        : await fetchSingly(deps, from, missing);
    const events = await parseAndVerify(deps, answers ?? [], from);
    const news = events.filter((entry) => !fetched.has(entry.eventId));
    for (const entry of news) fetched.set(entry.eventId, entry);
    if (news.length === 0) break;
    const behind = new Set(news.flatMap((entry) => authEventIdsOf(entry.pdu)));
    missing = (await listUnknown(deps, [...behind])).filter((eventId) => !fetched.has(eventId));
  }
  if (fetched.size > 0) await importOutliers(deps, from, [...fetched.values()]);
  return (await listUnknown(deps, authEventIdsOf(event.pdu))).length === 0;
}

/**
 * The state before an event some of whose previous events cannot be had: the resolution of the states behind those that are here
 * and of those that the server tells for the others. Throws UnobtainableError, FederationError.
 */
export async function fetchStateBefore(
  deps: FetchDeps,
  from: FetchFrom,
  { event, help }: { readonly event: RoomEvent; readonly help: Help },
): Promise<StatePoint> {
  const stored = await deps.storage.events.listByIds(prevEventIdsOf(event.pdu));
  const points: StatePoint[] = [];
  const placed = new Set<EventId>();
  for (const entry of stored) {
    if (entry.snapshotAfter === null) continue;
    placed.add(entry.event.eventId);
    points.push(storedPoint(deps, entry.snapshotAfter));
  }
  const missing = prevEventIdsOf(event.pdu).filter((eventId) => !placed.has(eventId));
  if (missing.length > help.stateFetches) throw new UnobtainableError('too many states would have to be asked for');
  help.stateFetches -= missing.length;
  for (const eventId of missing) points.push(await fetchStateAfter(deps, from, eventId));
  return resolvePoints(deps, points, from);
}

async function fetchStateAfter(deps: FetchDeps, from: FetchFrom, eventId: EventId): Promise<StatePoint> {
  const { server, roomId, version } = from;
  const ids = await deps.requests.getStateIds(server, roomId, eventId);
  const wanted = [...new Set([...ids.pduIds, ...ids.authChainIds, eventId])];
  const missing = await listUnknown(deps, wanted);
  const useless = await fetchMissing(deps, from, { missing, at: eventId });
  const known = await deps.storage.events.listByIds([...ids.pduIds, eventId]);
  const byId = new Map(known.map((entry) => [entry.event.eventId, entry]));
  const map = new Map<StateKey, EventId>();
  for (const stateId of [...ids.pduIds, eventId]) {
    const entry = byId.get(stateId);
    if (!entry) {
      if (useless.has(stateId)) continue;
      throw new UnobtainableError(`${server} did not give ${stateId}, which is part of the state at ${eventId}`);
    }
    const { event, verdict } = entry;
    if (verdict === 'rejected' || event.roomId !== roomId || !isStateEvent(event)) continue;
    map.set(stateKeyOf(event.pdu.type, event.pdu.state_key), stateId);
  }
  if (!map.has(stateKeyOf('m.room.create', ''))) {
    throw new UnobtainableError(`the state that ${server} told at ${eventId} has no create event`);
  }
  deps.log.debug({ roomId, server, eventId, events: map.size, version: version.id }, 'fetched the state at an event');
  return newPoint(deps, roomId, map);
}

/** Stores what it can get; answers which of the ids came but are not to be believed. */
async function fetchMissing(
  deps: FetchDeps,
  from: FetchFrom,
  wanted: { readonly missing: readonly EventId[]; readonly at: EventId },
): Promise<ReadonlySet<EventId>> {
  const { missing, at } = wanted;
  if (missing.length === 0) return new Set();
  const answers: unknown[] = [];
  if (missing.length > singleRequestsMax) {
    const state = await deps.requests.getState(from.server, from.roomId, at);
    answers.push(...state.pdus, ...state.authChain);
    if (missing.includes(at)) answers.push(...(await fetchSingly(deps, from, [at])));
  } else {
    answers.push(...(await fetchSingly(deps, from, missing)));
  }
  const all = await parseEvents(answers, from);
  const verified = await verifyEvents(deps, all, from.version);
  const { orphaned } = await importOutliers(deps, from, verified);
  const good = new Set(verified.map((event) => event.eventId));
  return new Set(all.map((event) => event.eventId).filter((eventId) => !good.has(eventId) && !orphaned.has(eventId)));
}

async function listUnknown(deps: FetchDeps, eventIds: readonly EventId[]): Promise<EventId[]> {
  const known = await deps.storage.events.listKnown(eventIds);
  return eventIds.filter((eventId) => !known.has(eventId));
}

/** A few at once; those that the server does not give are left out. */
async function fetchSingly(deps: FetchDeps, from: FetchFrom, eventIds: readonly EventId[]): Promise<unknown[]> {
  const found: unknown[] = [];
  const remaining = eventIds.values();
  const work = async (): Promise<void> => {
    for (const eventId of remaining) {
      const event = await ask(() => deps.requests.getEvent(from.server, eventId));
      if (event) found.push(event);
    }
  };
  await Promise.all(Array.from({ length: Math.min(concurrentMax, eventIds.length) }, work));
  return found;
}

/** Undefined where the other server does not answer as it should. */
export async function ask<T>(request: () => Promise<T>): Promise<T | undefined> {
  try {
    return await request();
  } catch (error) {
    if (error instanceof FederationError) return undefined;
    throw error;
  }
}

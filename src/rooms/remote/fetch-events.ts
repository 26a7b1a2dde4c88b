import { breathe } from '../../base/breathe.ts';
import { type AnsweredEvent, FederationError } from '../../federation-out/requests-contract.ts';
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
import { pointLike, resolvePoints, type StatePoint, storedPoint } from '../core/state-point.ts';
import { Intake } from './import/intake.ts';
import { judgeIntake } from './import/judge-intake.ts';
import type { RemoteCore } from './remote-core.ts';

type FetchDeps = Pick<
  RemoteCore,
  'storage' | 'clock' | 'requests' | 'checkSignatures' | 'learnKeys' | 'log' | 'imports'
>;

export interface FetchFrom {
  readonly server: ServerName;
  readonly roomId: RoomId;
  readonly version: RoomVersion;
}

/** So many missing events are asked for one by one; for more, the whole state or auth chain is cheaper. */
const singleRequestsMax = 20;
const concurrentMax = 5;
/** Stored events that are looked at together. */
const readMax = 500;
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
export function fetchAuthEvents(deps: FetchDeps, from: FetchFrom, event: RoomEvent): Promise<boolean> {
  return deps.imports.run(async (running) => {
    const intake = new Intake(deps, running, from);
    const asked = new Set<EventId>();
    let missing = await listUnknown(deps, authEventIdsOf(event.pdu));
    for (let round = 0; missing.length > 0 && round < authRoundsMax; round++) {
      for (const eventId of missing) asked.add(eventId);
      if (missing.length > singleRequestsMax) {
        const { server, roomId } = from;
        await ask(() => deps.requests.getEventAuth(server, roomId, event.eventId, (...given) => intake.take(...given)));
      } else {
        await intake.take('auth_chain', await fetchSingly(deps, from, missing));
      }
      const outside = intake.graph.listOutside().filter((eventId) => !asked.has(eventId));
      missing = await listUnknown(deps, outside);
    }
    await judgeIntake(deps, intake);
    return (await listUnknown(deps, authEventIdsOf(event.pdu))).length === 0;
  });
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
  const missing = await listUnknown(deps, [...new Set([...ids.pduIds, ...ids.authChainIds, eventId])]);
  const unbelieved = await fetchMissing(deps, from, { missing, at: eventId });
  const map = await readStateOf(deps, from, { ids: [...new Set([...ids.pduIds, eventId])], unbelieved });
  if (!map.has(stateKeyOf('m.room.create', ''))) {
    throw new UnobtainableError(`the state that ${server} told at ${eventId} has no create event`);
  }
  deps.log.debug({ roomId, server, eventId, events: map.size, version: version.id }, 'fetched the state at an event');
  // Mostly it is nearly the state that the room has.
  const current = await deps.storage.state.findCurrentSnapshot(roomId);
  return pointLike(deps, roomId, map, current === undefined ? undefined : storedPoint(deps, current));
}

/** The state that these events make, the later before the earlier. Throws UnobtainableError where one did not come. */
async function readStateOf(
  deps: FetchDeps,
  { roomId, server }: FetchFrom,
  { ids, unbelieved }: { readonly ids: readonly EventId[]; readonly unbelieved: ReadonlySet<EventId> },
): Promise<Map<StateKey, EventId>> {
  const map = new Map<StateKey, EventId>();
  for (let start = 0; start < ids.length; start += readMax) {
    const part = ids.slice(start, start + readMax);
    const stored = await deps.storage.events.listByIds(part);
    const byId = new Map(stored.map((entry) => [entry.event.eventId, entry]));
    for (const eventId of part) {
      const entry = byId.get(eventId);
      if (!entry) {
        if (unbelieved.has(eventId)) continue;
        throw new UnobtainableError(`${server} did not give ${eventId}, which is part of a state that it told`);
      }
      const { event, verdict } = entry;
      if (verdict === 'rejected' || event.roomId !== roomId || !isStateEvent(event)) continue;
      map.set(stateKeyOf(event.pdu.type, event.pdu.state_key), eventId);
    }
    await breathe();
  }
  return map;
}

/** Stores what it can get; answers which of the ids came but are not to be believed. */
function fetchMissing(
  deps: FetchDeps,
  from: FetchFrom,
  { missing, at }: { readonly missing: readonly EventId[]; readonly at: EventId },
): Promise<ReadonlySet<EventId>> {
  if (missing.length === 0) return Promise.resolve(new Set());
  return deps.imports.run(async (running) => {
    const intake = new Intake(deps, running, from);
    const isMany = missing.length > singleRequestsMax;
    if (isMany) {
      await deps.requests.getState(from.server, from.roomId, at, (...given) => intake.take(...given));
    }
    // The event itself is no part of the state before it.
    const singly = isMany ? missing.filter((eventId) => eventId === at) : missing;
    await intake.take('auth_chain', await fetchSingly(deps, from, singly));
    return (await judgeIntake(deps, intake)).unbelieved;
  });
}

async function listUnknown(deps: FetchDeps, eventIds: readonly EventId[]): Promise<EventId[]> {
  const known = await deps.storage.events.listKnown(eventIds);
  return eventIds.filter((eventId) => !known.has(eventId));
}

/** A few at once; those that the server does not give are left out. */
async function fetchSingly(deps: FetchDeps, from: FetchFrom, eventIds: readonly EventId[]): Promise<AnsweredEvent[]> {
  const found: AnsweredEvent[] = [];
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

import { checkAuth } from '../../engine/auth/check.ts';
import { checkAuthEvents } from '../../engine/auth/check-auth-events.ts';
import { listNeededKeys } from '../../engine/auth/needed-state.ts';
import { type AuthState, authStateOfEvents, authStateOfMap } from '../../engine/auth-state.ts';
import { createEventIdOfRoom, isSameEvent } from '../../engine/event/event-id.ts';
import { type AuthVerdict, allow, decidePduVerdict, type PduVerdict } from '../../engine/verdict.ts';
import { serverUnavailable } from '../../matrix/errors.ts';
import type { EventId } from '../../matrix/ids.ts';
import { authEventIdsOf, prevEventIdsOf, type RoomEvent, type StateKey, stateKeyOf } from '../../matrix/pdu.ts';
import { getRoomVersion, type RoomVersion } from '../../matrix/room-versions.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import type { Expectation, Row } from '../../storage/contract/commit.ts';
import type { EventPlacement, StoredEvent } from '../../storage/contract/events.ts';
import type { RoomsCore } from './deps.ts';
import { extendRoom } from './extend-room.ts';
import { listDestinations } from './outgoing.ts';
import { redactionRows } from './redaction-rows.ts';
import { findRoomHead, type RoomHead } from './room-head.ts';
import { pointAfter, resolvePoints, type StatePoint, storedPoint } from './state-point.ts';

export type AcceptDeps = Pick<RoomsCore, 'storage' | 'clock' | 'roster' | 'serverName' | 'ports'>;

export interface AcceptOptions {
  readonly placement: Exclude<EventPlacement, 'outlier'>;
  /** The state before the event where its previous events cannot be had; events in it are stored. */
  readonly stateBefore?: StatePoint;
  /** Sends it on to all other servers in the room but these: for events that our users or a joining server bring in through us. */
  readonly distribute?: { readonly except: readonly ServerName[] };
}

const attemptsMax = 3;

/**
 * Checks 4 to 6 of "Checks performed on receipt of a PDU" for an event whose format, signatures and hash are good, and takes it
 * into the room with its verdict. An event that is stored with a verdict keeps it. waiting: events that it refers to are not
 * stored. To be called under the room's lock.
 */
export async function acceptEvent(deps: AcceptDeps, event: RoomEvent, options: AcceptOptions): Promise<PduVerdict> {
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const known = await deps.storage.events.find(event.eventId);
    if (known && !isSameEvent(known.event, event, getRoomVersion(event.roomVersion))) {
      return { verdict: 'dropped', reason: 'another event has this id' };
    }
    const settled = known && settledVerdict(known);
    if (settled) return settled;
    const head = await findRoomHead(deps.storage, event.roomId);
    if (!head) return { verdict: 'dropped', reason: 'the room is not known here' };
    const judged = await judge(deps, event, { head, options });
    if (judged.before === undefined) return judged.verdict;
    const rows = await rowsFor(deps, event, { head, options, judged, known });
    const expect: Expectation[] = [{ kind: 'extremities', roomId: event.roomId, eventIds: head.extremities }];
    if (!known) expect.push({ kind: 'event_unknown', eventId: event.eventId });
    const result = await deps.storage.commit({ rows, expect });
    if (result.outcome === 'committed') return judged.verdict;
  }
  throw serverUnavailable('The room is busy, try again');
}

/** An outlier may still get its place; whatever has one keeps its verdict, and what was rejected stays so. */
function settledVerdict(known: StoredEvent): PduVerdict | undefined {
  if (known.verdict === 'rejected') return { verdict: 'rejected', reason: 'the event was rejected before' };
  if (known.placement === 'outlier') return undefined;
  return known.verdict === 'accepted'
    ? { verdict: 'accepted' }
    : { verdict: 'soft_failed', reason: 'the event was refused by the state of the room before' };
}

interface Judged {
  readonly verdict: PduVerdict;
  readonly before: StatePoint | undefined;
}

async function judge(
  deps: AcceptDeps,
  event: RoomEvent,
  facts: { head: RoomHead; options: AcceptOptions },
): Promise<Judged> {
  const { head, options } = facts;
  const { version } = head;
  if (event.pdu.type === 'm.room.create' && !(await isCreateOf(deps, event, head))) {
    return { verdict: { verdict: 'dropped', reason: 'the room has another create event' }, before: undefined };
  }
  const authEvents = await readAuthEvents(deps, event, version);
  const previous = await deps.storage.events.listByIds(prevEventIdsOf(event.pdu));
  // Whatever its state is, it is not of this room, and what builds on it can never be.
  if (previous.some((stored) => stored.event.roomId !== event.roomId)) {
    return { verdict: { verdict: 'dropped', reason: 'a previous event is of another room' }, before: undefined };
  }
  const placed = new Set(previous.filter(hasPlace).map((stored) => stored.event.eventId));
  const missing = [
    ...authEvents.missing,
    ...(options.stateBefore ? [] : prevEventIdsOf(event.pdu).filter((eventId) => !placed.has(eventId))),
  ];
  if (missing.length > 0) return { verdict: { verdict: 'waiting', missing }, before: undefined };
  const before = options.stateBefore ?? (await stateBefore(deps, event, { head, previous }));
  const byAuthEvents = judgeByAuthEvents(event, authEvents, version);
  const keys = listNeededKeys(event.pdu, version);
  const byStateBefore = byAuthEvents.allowed
    ? checkAuth(event, await readAuthState(deps, before, keys), version)
    : allow;
  // Of the past one asks only whether it was right then.
  const isPast = options.placement === 'historical' || before.snapshotId === head.snapshotId;
  const byCurrentState =
    isPast || !byStateBefore.allowed || !byAuthEvents.allowed
      ? allow
      : checkAuth(event, await readAuthState(deps, storedPoint(deps, head.snapshotId), keys), version);
  return { verdict: decidePduVerdict({ byAuthEvents, byStateBefore, byCurrentState }), before };
}

async function stateBefore(
  deps: AcceptDeps,
  event: RoomEvent,
  { head, previous }: { head: RoomHead; previous: readonly StoredEvent[] },
): Promise<StatePoint> {
  const prevEvents = new Set(prevEventIdsOf(event.pdu));
  const mergesAll = prevEvents.size === head.extremities.length && head.extremities.every((id) => prevEvents.has(id));
  // The current state is the resolution over just these.
  if (mergesAll) return storedPoint(deps, head.snapshotId);
  const points = previous.flatMap(({ snapshotAfter }) =>
    snapshotAfter === null ? [] : storedPoint(deps, snapshotAfter),
  );
  return resolvePoints(deps, points, { roomId: event.roomId, version: head.version });
}

/** The rules allow any create event, since there is no state before it; a room has one. */
async function isCreateOf(deps: AcceptDeps, event: RoomEvent, head: RoomHead): Promise<boolean> {
  const key = stateKeyOf('m.room.create', '');
  return (await storedPoint(deps, head.snapshotId).readKeys([key])).get(key) === event.eventId;
}

function hasPlace(stored: StoredEvent): boolean {
  return stored.snapshotAfter !== null;
}

interface AuthEvents {
  readonly entries: readonly StoredEvent[];
  /** Stands for the create event where the room version leaves that out of `auth_events`. */
  readonly create: RoomEvent | undefined;
  readonly missing: readonly EventId[];
}

async function readAuthEvents(deps: AcceptDeps, event: RoomEvent, version: RoomVersion): Promise<AuthEvents> {
  const createId = version.createIsAuthEvent ? undefined : createEventIdOfRoom(event.roomId);
  const wanted = createId === undefined ? authEventIdsOf(event.pdu) : [...authEventIdsOf(event.pdu), createId];
  const stored = await deps.storage.events.listByIds(wanted);
  const known = new Set(stored.map((entry) => entry.event.eventId));
  return {
    entries: stored.filter((entry) => authEventIdsOf(event.pdu).includes(entry.event.eventId)),
    create: stored.find((entry) => entry.event.eventId === createId && entry.verdict !== 'rejected')?.event,
    missing: wanted.filter((eventId) => !known.has(eventId)),
  };
}

function judgeByAuthEvents(event: RoomEvent, { entries, create }: AuthEvents, version: RoomVersion): AuthVerdict {
  const marked = entries.map((entry) => ({ event: entry.event, rejected: entry.verdict === 'rejected' }));
  const verdict = checkAuthEvents(event, marked, version);
  if (!verdict.allowed) return verdict;
  const events = entries.map((entry) => entry.event);
  return checkAuth(event, authStateOfEvents(create ? [...events, create] : events), version);
}

async function readAuthState(deps: AcceptDeps, point: StatePoint, keys: readonly StateKey[]): Promise<AuthState> {
  const ids = await point.readKeys(keys);
  const stored = await deps.storage.events.listByIds([...ids.values()]);
  const byId = new Map(stored.map((entry) => [entry.event.eventId, entry]));
  const state = new Map<StateKey, RoomEvent>();
  for (const [key, eventId] of ids) {
    const entry = byId.get(eventId);
    if (entry && entry.verdict !== 'rejected') state.set(key, entry.event);
  }
  return authStateOfMap(state);
}

async function rowsFor(
  deps: AcceptDeps,
  event: RoomEvent,
  facts: { head: RoomHead; options: AcceptOptions; judged: Judged; known: StoredEvent | undefined },
): Promise<Row[]> {
  const { head, options, judged, known } = facts;
  const { before } = judged;
  const { verdict } = judged.verdict;
  if (!before || verdict === 'dropped' || verdict === 'waiting') return [];
  const after = verdict === 'rejected' ? before : pointAfter(deps, before, event);
  const snapshots = { snapshotBefore: before.snapshotId, snapshotAfter: after.snapshotId };
  const rows: Row[] = [
    ...after.rows,
    known
      ? { kind: 'event_placed', eventId: event.eventId, verdict, placement: options.placement, ...snapshots }
      : {
          kind: 'event',
          event,
          verdict,
          placement: options.placement,
          ...snapshots,
          receivedAtMs: deps.clock.now(),
        },
  ];
  if (verdict !== 'accepted') return rows;
  if (options.placement === 'timeline') rows.push(...(await extendRoom(deps, event, { head, before, after })));
  rows.push(...(await redactionRows(deps, event, { before, version: head.version })));
  const destinations = options.distribute ? listDestinations(deps, event) : [];
  const others = destinations.filter((server) => !options.distribute?.except.includes(server));
  if (others.length > 0) {
    rows.push({ kind: 'outgoing_pdu', eventId: event.eventId, roomId: event.roomId, destinations: others });
  }
  return rows;
}

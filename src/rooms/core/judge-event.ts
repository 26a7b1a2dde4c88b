import { checkAuth } from '../../engine/auth/check.ts';
import { checkAuthEvents } from '../../engine/auth/check-auth-events.ts';
import { listNeededKeys } from '../../engine/auth/needed-state.ts';
import { type AuthState, authStateOfEvents, authStateOfMap } from '../../engine/auth-state.ts';
import { createEventIdOfRoom } from '../../engine/event/event-id.ts';
import { type AuthVerdict, allow, decidePduVerdict, type PduVerdict } from '../../engine/verdict.ts';
import type { EventId } from '../../matrix/ids.ts';
import { authEventIdsOf, prevEventIdsOf, type RoomEvent, type StateKey, stateKeyOf } from '../../matrix/pdu.ts';
import type { RoomVersion } from '../../matrix/room-versions.ts';
import type { EventPlacement, StoredEvent } from '../../storage/contract/events.ts';
import type { RoomsCore } from './deps.ts';
import type { RoomHead } from './room-head.ts';
import { resolvePoints, type StatePoint, storedPoint } from './state-point.ts';

type JudgeDeps = Pick<RoomsCore, 'storage'>;

export interface JudgeFacts {
  readonly head: RoomHead;
  readonly placement: Exclude<EventPlacement, 'outlier'>;
  /** The state before the event where its previous events cannot be had. */
  readonly stateBefore: StatePoint | undefined;
  /** The event as it is stored already. */
  readonly known: StoredEvent | undefined;
}

export interface Judged {
  readonly verdict: PduVerdict;
  readonly before: StatePoint | undefined;
}

/** Checks 4 to 6 of "Checks performed on receipt of a PDU": the auth events, the state before the event, the room's current state. */
export async function judgeEvent(deps: JudgeDeps, event: RoomEvent, facts: JudgeFacts): Promise<Judged> {
  const { head, placement } = facts;
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
    ...(facts.stateBefore ? [] : prevEventIdsOf(event.pdu).filter((eventId) => !placed.has(eventId))),
  ];
  if (missing.length > 0) return { verdict: { verdict: 'waiting', missing }, before: undefined };
  const before = facts.stateBefore ?? (await stateBefore(deps, event, { head, previous }));
  const byAuthEvents = judgeByAuthEvents(event, authEvents, version);
  const keys = listNeededKeys(event.pdu, version);
  const byStateBefore = byAuthEvents.allowed
    ? checkAuth(event, await readAuthState(deps, before, keys), version)
    : allow;
  if (byAuthEvents.allowed && !byStateBefore.allowed && !mayReject(facts)) {
    return {
      verdict: { verdict: 'dropped', reason: `as its past is told here, ${byStateBefore.reason}` },
      before: undefined,
    };
  }
  // Of the past one asks only whether it was right then.
  const isPast = placement === 'historical' || before.snapshotId === head.snapshotId;
  const byCurrentState =
    isPast || !byStateBefore.allowed || !byAuthEvents.allowed
      ? allow
      : checkAuth(event, await readAuthState(deps, storedPoint(deps, head.snapshotId), keys), version);
  return { verdict: decidePduVerdict({ byAuthEvents, byStateBefore, byCurrentState }), before };
}

/**
 * A rejection is for good, and what rests on a rejected event is rejected too. So neither the word of one server about the state decides for
 * it, nor any past that is told of an event which was accepted for its role in the state: it keeps that role, without a place.
 */
function mayReject({ stateBefore, known }: JudgeFacts): boolean {
  return stateBefore === undefined && known?.verdict !== 'accepted';
}

async function stateBefore(
  deps: JudgeDeps,
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
async function isCreateOf(deps: JudgeDeps, event: RoomEvent, head: RoomHead): Promise<boolean> {
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

async function readAuthEvents(deps: JudgeDeps, event: RoomEvent, version: RoomVersion): Promise<AuthEvents> {
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

/** Whether an event whose auth events are stored passes by them: check 4 alone. */
export async function passesAuthEvents(deps: JudgeDeps, event: RoomEvent, version: RoomVersion): Promise<boolean> {
  const authEvents = await readAuthEvents(deps, event, version);
  return authEvents.missing.length === 0 && judgeByAuthEvents(event, authEvents, version).allowed;
}

function judgeByAuthEvents(event: RoomEvent, { entries, create }: AuthEvents, version: RoomVersion): AuthVerdict {
  const marked = entries.map((entry) => ({ event: entry.event, rejected: entry.verdict === 'rejected' }));
  const verdict = checkAuthEvents(event, marked, version);
  if (!verdict.allowed) return verdict;
  const events = entries.map((entry) => entry.event);
  return checkAuth(event, authStateOfEvents(create ? [...events, create] : events), version);
}

async function readAuthState(deps: JudgeDeps, point: StatePoint, keys: readonly StateKey[]): Promise<AuthState> {
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

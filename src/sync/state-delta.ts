import { breathe } from '../base/breathe.ts';
import { acceptsType, type RoomEventFilter } from '../matrix/filter.ts';
import type { EventId, RoomId, UserId } from '../matrix/ids.ts';
import { type StateKey, type StateMap, splitStateKey, stateKeyOf } from '../matrix/pdu.ts';
import { acceptsEvent } from '../rooms/reading/accepts-event.ts';
import { memberKey } from '../rooms/state-reads.ts';
import type { TimelineEvent } from '../storage/contract/events.ts';
import type { Position } from '../storage/contract/numbers.ts';
import type { SnapshotId } from '../storage/contract/state.ts';
import type { Storage } from '../storage/contract/storage.ts';
import { acceptsSection } from './apply-filter.ts';
import type { Timeline } from './timeline.ts';

export interface StateDeps {
  readonly storage: Pick<Storage, 'events' | 'state'>;
}

export interface StateRequest {
  readonly roomId: RoomId;
  /** The state at the end of the timeline; undefined where the room has none. */
  readonly end: SnapshotId | undefined;
  /** What differs at the end from what the client knows; null: it knows nothing, so all of it is told. */
  readonly changes: ReadonlyMap<StateKey, EventId | null> | null;
  /** How far the client knows the room; what a gap hid lies behind it. */
  readonly after: Position;
  readonly timeline: Timeline;
  /** Tell the state at the end of the timeline instead of at its start (MSC4222). */
  readonly useStateAfter: boolean;
  readonly filter: RoomEventFilter;
  /** Null: every member counts. Else members are told only if they changed or belong to these. */
  readonly lazy: { readonly wanted: ReadonlySet<UserId>; isKnown(userId: UserId, eventId: EventId): boolean } | null;
}

const idsPerRead = 500;

/**
 * The state events that stand beside a timeline, so that a client which applies first them and then the timeline (or, by
 * MSC4222, them alone) arrives at the room's state. A change that state resolution brought without an event in the shown
 * timeline is among them, although it belongs to the timeline's end: else the client would never learn of it.
 */
export async function readRoomState(deps: StateDeps, request: StateRequest): Promise<TimelineEvent[]> {
  if (!acceptsSection(request.filter, request.roomId)) return [];
  const shownKeys = listShownKeys(request);
  const ids = await (request.changes === null
    ? listWhole(deps, request, shownKeys)
    : listChanged(deps, request, request.changes, shownKeys));
  for (const event of request.timeline.events) if (!request.useStateAfter) ids.delete(event.eventId);
  const events = await readInOrder(deps, ids);
  return events.filter((event) => acceptsEvent(request.filter, event));
}

/** Keys that the shown timeline sets itself, which matters only for the state at its start. */
function listShownKeys(request: StateRequest): ReadonlySet<StateKey> {
  const keys = new Set<StateKey>();
  if (request.useStateAfter) return keys;
  for (const event of request.timeline.events) {
    if (event.stateKey !== null) keys.add(stateKeyOf(event.type, event.stateKey));
  }
  return keys;
}

async function listWhole(
  deps: StateDeps,
  request: StateRequest,
  shownKeys: ReadonlySet<StateKey>,
): Promise<Set<EventId>> {
  const ids = new Set<EventId>();
  if (request.end === undefined) return ids;
  const wantedMembers = new Set([...(request.lazy?.wanted ?? [])].map(memberKey));
  const isWanted = (key: StateKey): boolean => {
    const { type } = splitStateKey(key);
    if (!acceptsType(request.filter, type)) return false;
    return request.lazy === null || type !== 'm.room.member' || wantedMembers.has(key);
  };
  for (const [key, eventId] of await deps.storage.state.getSnapshot(request.end)) {
    if (!shownKeys.has(key) && isWanted(key)) ids.add(eventId);
  }
  for (const eventId of (await readAtStart(deps, request, [...shownKeys].filter(isWanted))).values()) ids.add(eventId);
  return ids;
}

async function listChanged(
  deps: StateDeps,
  request: StateRequest,
  changes: ReadonlyMap<StateKey, EventId | null>,
  shownKeys: ReadonlySet<StateKey>,
): Promise<Set<EventId>> {
  const ids = new Set<EventId>();
  for (const [key, eventId] of changes) {
    // A key that was removed cannot be told: the protocol has no word for it.
    if (eventId !== null && !shownKeys.has(key)) ids.add(eventId);
  }
  // "When a sync is `limited`, the server MUST return membership events for events in the gap": and any other state.
  if (request.timeline.limited) {
    const hidden = await readAtStart(deps, request, [...shownKeys]);
    for (const event of await readInOrder(deps, new Set(hidden.values()))) {
      if (event.position > request.after) ids.add(event.eventId);
    }
  }
  for (const eventId of await listLazyMembers(deps, request, changes, shownKeys)) ids.add(eventId);
  return ids;
}

/** Member events of those who are shown in this answer and whom this device was not told of before. */
async function listLazyMembers(
  deps: StateDeps,
  request: StateRequest,
  changes: ReadonlyMap<StateKey, EventId | null>,
  shownKeys: ReadonlySet<StateKey>,
): Promise<EventId[]> {
  const { lazy, end } = request;
  if (lazy === null || end === undefined || lazy.wanted.size === 0) return [];
  const users = new Map([...lazy.wanted].map((userId) => [memberKey(userId), userId]));
  const atEnd = [...users.keys()].filter((key) => !shownKeys.has(key) && !changes.has(key));
  const atStart = [...users.keys()].filter((key) => shownKeys.has(key));
  const found = [
    ...(await deps.storage.state.getFromSnapshot(end, atEnd)),
    ...(await readAtStart(deps, request, atStart)),
  ];
  return found
    .filter(([key, eventId]) => {
      const userId = users.get(key);
      return userId !== undefined && !lazy.isKnown(userId, eventId);
    })
    .map(([, eventId]) => eventId);
}

/** These keys in the state before the first event shown. */
async function readAtStart(deps: StateDeps, request: StateRequest, keys: readonly StateKey[]): Promise<StateMap> {
  const first = request.timeline.events[0];
  if (!first || keys.length === 0 || first.snapshotBefore <= 0) return new Map();
  return deps.storage.state.getFromSnapshot(first.snapshotBefore, keys);
}

async function readInOrder(deps: StateDeps, ids: ReadonlySet<EventId>): Promise<TimelineEvent[]> {
  const wanted = [...ids];
  const found = new Map<EventId, TimelineEvent>();
  for (let start = 0; start < wanted.length; start += idsPerRead) {
    for (const event of await deps.storage.events.listTimelineEventsByIds(wanted.slice(start, start + idsPerRead))) {
      found.set(event.eventId, event);
    }
    await breathe();
  }
  return wanted.map((eventId) => found.get(eventId)).filter((event) => event !== undefined);
}

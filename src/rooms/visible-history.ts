import { mayViewEvent, type ViewPlace } from '../engine/visibility.ts';
import type { EventId, RoomId, UserId } from '../matrix/ids.ts';
import type { TimelineEvent } from '../storage/contract/events.ts';
import type { SnapshotId } from '../storage/contract/state.ts';
import type { Storage } from '../storage/contract/storage.ts';
import {
  historyVisibilityKey,
  memberKey,
  membershipIn,
  readStateSlices,
  type StateSlice,
  visibilityIn,
} from './state-reads.ts';

export type VisibilityDeps = { readonly storage: Pick<Storage, 'events' | 'state' | 'rooms'> };

/**
 * Those of the events that this user may see, in the order given: by the history visibility and the user's membership at
 * the event, and by whether the user joined later (client-server API, "Room History Visibility").
 */
export async function filterVisible(
  deps: VisibilityDeps,
  viewer: UserId,
  events: readonly TimelineEvent[],
): Promise<TimelineEvent[]> {
  const snapshots = new Set<SnapshotId>();
  for (const event of events) {
    if (event.snapshotBefore > 0) snapshots.add(event.snapshotBefore);
    if (changesVisibility(event, viewer)) snapshots.add(event.snapshotAfter);
  }
  const slices = await readStateSlices(deps, snapshots, [historyVisibilityKey, memberKey(viewer)]);
  const stays = await listLastStays(deps, new Set(events.map((event) => event.roomId)), viewer);
  return events.filter((event) => {
    const joinedLater = event.position < (stays.get(event.roomId)?.end ?? Number.NEGATIVE_INFINITY);
    return isVisible(event, viewer, { slices, joinedLater });
  });
}

/** Whether this user may see this one event. */
export async function isEventVisible(deps: VisibilityDeps, viewer: UserId, event: TimelineEvent): Promise<boolean> {
  return (await filterVisible(deps, viewer, [event])).length === 1;
}

export interface Stay {
  /** The position up to which the user was in the room; infinity while they are. */
  readonly end: number;
  /** The member event that ended the stay; undefined while it lasts. */
  readonly departure: EventId | undefined;
}

/** The user's current stay in the room, or the last one; undefined for somebody who never was joined. */
export async function findLastStay(deps: VisibilityDeps, roomId: RoomId, userId: UserId): Promise<Stay | undefined> {
  return (await listLastStays(deps, new Set([roomId]), userId)).get(roomId);
}

/** The same for many rooms; those in which the user never was joined are left out. */
export async function listLastStays(
  deps: VisibilityDeps,
  roomIds: ReadonlySet<RoomId>,
  userId: UserId,
): Promise<Map<RoomId, Stay>> {
  const { rooms } = deps.storage;
  const stays = new Map<RoomId, Stay>();
  const others = new Set<RoomId>();
  for (const [roomId, { membership }] of await rooms.listMembershipsIn(userId, roomIds)) {
    if (membership === 'join') stays.set(roomId, { end: Number.POSITIVE_INFINITY, departure: undefined });
    else others.add(roomId);
  }
  if (others.size === 0) return stays;
  for (const [roomId, { position, eventId }] of await rooms.listLastDepartures(userId, others)) {
    stays.set(roomId, { end: position, departure: eventId });
  }
  return stays;
}

function changesVisibility(event: TimelineEvent, viewer: UserId): boolean {
  if (event.stateKey === null) return false;
  return (
    (event.type === 'm.room.history_visibility' && event.stateKey === '') ||
    (event.type === 'm.room.member' && event.stateKey === viewer)
  );
}

function isVisible(
  event: TimelineEvent,
  viewer: UserId,
  facts: { slices: ReadonlyMap<SnapshotId, StateSlice>; joinedLater: boolean },
): boolean {
  const placeAt = (snapshotId: SnapshotId): ViewPlace => {
    const slice = facts.slices.get(snapshotId);
    return { visibility: visibilityIn(slice), membership: membershipIn(slice, viewer) };
  };
  return mayViewEvent({
    before: placeAt(event.snapshotBefore),
    // What changes the answer is shown to whoever may see either side of it, or nobody would learn of their own kick.
    ...(changesVisibility(event, viewer) ? { after: placeAt(event.snapshotAfter) } : {}),
    joinedSince: facts.joinedLater,
  });
}

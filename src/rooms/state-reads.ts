import { type HistoryVisibility, historyVisibilityOf } from '../engine/visibility.ts';
import type { EventId, UserId } from '../matrix/ids.ts';
import { type JsonObject, type StateKey, stateKeyOf } from '../matrix/pdu.ts';
import type { StoredEvent } from '../storage/contract/events.ts';
import type { Membership } from '../storage/contract/rooms.ts';
import type { SnapshotId } from '../storage/contract/state.ts';
import type { Storage } from '../storage/contract/storage.ts';

export type StateReadDeps = { readonly storage: Pick<Storage, 'events' | 'state'> };

/** State events at one place, by key; keys without an event are left out. */
export type StateSlice = ReadonlyMap<StateKey, StoredEvent>;

export const historyVisibilityKey = stateKeyOf('m.room.history_visibility', '');

export function memberKey(userId: UserId): StateKey {
  return stateKeyOf('m.room.member', userId);
}

/** These keys of each snapshot, all read together. */
export async function readStateSlices(
  deps: StateReadDeps,
  snapshotIds: Iterable<SnapshotId>,
  keys: readonly StateKey[],
): Promise<Map<SnapshotId, StateSlice>> {
  const asked = new Map([...snapshotIds].map((snapshotId) => [snapshotId, keys]));
  if (asked.size === 0) return new Map();
  const ids: Map<SnapshotId, ReadonlyMap<StateKey, EventId>> = await deps.storage.state.getFromSnapshots(asked);
  const wanted = new Set([...ids.values()].flatMap((map) => [...map.values()]));
  const events = new Map(
    (await deps.storage.events.listByIds([...wanted])).map((stored) => [stored.event.eventId, stored]),
  );
  const slices = new Map<SnapshotId, StateSlice>();
  for (const [snapshotId, map] of ids) {
    const slice = new Map<StateKey, StoredEvent>();
    for (const [key, eventId] of map) {
      const event = events.get(eventId);
      if (event) slice.set(key, event);
    }
    slices.set(snapshotId, slice);
  }
  return slices;
}

/** These keys of one snapshot. */
export async function readStateSlice(
  deps: StateReadDeps,
  snapshotId: SnapshotId,
  keys: readonly StateKey[],
): Promise<StateSlice> {
  const slices = await readStateSlices(deps, [snapshotId], keys);
  return slices.get(snapshotId) ?? new Map();
}

/** The membership that a member event sets; whoever has none, or an unreadable one, has left. */
export function membershipIn(slice: StateSlice | undefined, userId: UserId): Membership {
  return membershipOf(slice?.get(memberKey(userId))?.event.pdu.content);
}

export function membershipOf(content: JsonObject | undefined): Membership {
  const value = content?.membership;
  return value === 'join' || value === 'invite' || value === 'knock' || value === 'ban' ? value : 'leave';
}

export function visibilityIn(slice: StateSlice | undefined): HistoryVisibility {
  return historyVisibilityOf(slice?.get(historyVisibilityKey)?.event.pdu.content);
}

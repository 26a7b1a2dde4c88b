import { breathe } from '../base/breathe.ts';
import type { EventId, UserId } from '../matrix/ids.ts';
import { splitStateKey } from '../matrix/pdu.ts';
import type { TimelineEvent } from '../storage/contract/events.ts';
import type { Membership } from '../storage/contract/rooms.ts';
import type { SnapshotId } from '../storage/contract/state.ts';
import { memberKey, membershipIn, membershipOf, readStateSlice, type StateReadDeps } from './state-reads.ts';

const idsPerRead = 500;

/** State events of a snapshot as clients see them; of one type if given. In the order of the snapshot. */
export async function listStateAt(
  deps: StateReadDeps,
  snapshotId: SnapshotId,
  type?: string,
): Promise<TimelineEvent[]> {
  const ids: EventId[] = [];
  for (const [key, eventId] of await deps.storage.state.getSnapshot(snapshotId)) {
    if (type === undefined || splitStateKey(key).type === type) ids.push(eventId);
  }
  const found = new Map<EventId, TimelineEvent>();
  for (let start = 0; start < ids.length; start += idsPerRead) {
    for (const event of await deps.storage.events.listTimelineEventsByIds(ids.slice(start, start + idsPerRead))) {
      found.set(event.eventId, event);
    }
    await breathe();
  }
  return ids.map((eventId) => found.get(eventId)).filter((event) => event !== undefined);
}

export interface MemberFilter {
  readonly membership?: Membership | undefined;
  readonly notMembership?: Membership | undefined;
}

/** Member events of a snapshot (client-server API, `GET /rooms/{roomId}/members`). */
export async function listMembersAt(
  deps: StateReadDeps,
  snapshotId: SnapshotId,
  filter: MemberFilter = {},
): Promise<TimelineEvent[]> {
  const members = await listStateAt(deps, snapshotId, 'm.room.member');
  if (filter.membership === undefined && filter.notMembership === undefined) return members;
  return members.filter((event) => {
    const { content } = JSON.parse(event.clientText) as { content: Record<string, unknown> };
    const membership = membershipOf(content);
    if (filter.membership !== undefined && membership !== filter.membership) return false;
    return filter.notMembership === undefined || membership !== filter.notMembership;
  });
}

/** What the user was in the room at that place; `leave` for somebody without a member event. */
export async function membershipAt(deps: StateReadDeps, snapshotId: SnapshotId, userId: UserId): Promise<Membership> {
  return membershipIn(await readStateSlice(deps, snapshotId, [memberKey(userId)]), userId);
}

/** Member events of these users in a snapshot, for lazy loading; those without one are left out. */
export async function listMemberEventsOf(
  deps: StateReadDeps,
  snapshotId: SnapshotId,
  userIds: readonly UserId[],
): Promise<TimelineEvent[]> {
  const ids = await deps.storage.state.getFromSnapshot(snapshotId, userIds.map(memberKey));
  return ids.size === 0 ? [] : deps.storage.events.listTimelineEventsByIds([...ids.values()]);
}

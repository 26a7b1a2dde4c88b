import { forbidden } from '../../matrix/errors.ts';
import type { EventId, RoomId, UserId } from '../../matrix/ids.ts';
import type { SnapshotId } from '../../storage/contract/state.ts';
import type { Storage } from '../../storage/contract/storage.ts';
import { historyVisibilityKey, readStateSlice, visibilityIn } from '../state-reads.ts';
import { findLastStay } from '../visible-history.ts';

export type AccessDeps = { readonly storage: Pick<Storage, 'events' | 'state' | 'rooms'> };

/**
 * How far a user sees into a room. now: they are joined, or everybody may look. then: they left; `snapshotId` is the state
 * behind their departure, `eventId` the departure; `open`: everybody may look at what happens now.
 */
export type RoomAccess =
  | { readonly until: 'now'; readonly snapshotId: SnapshotId; readonly joined: boolean }
  | { readonly until: 'departure'; readonly snapshotId: SnapshotId; readonly eventId: EventId; readonly open: boolean };

/**
 * Throws M_FORBIDDEN for whoever was never in the room or has forgotten it, the same for a room that does not exist: "You
 * aren't a member of the room and weren't previously a member of the room."
 */
export async function getRoomAccess(deps: AccessDeps, roomId: RoomId, userId: UserId): Promise<RoomAccess> {
  const { rooms, state, events } = deps.storage;
  const current = await state.findCurrentSnapshot(roomId);
  if (current === undefined) throw notAMember();
  const membership = await rooms.findMembership(roomId, userId);
  if (membership?.membership === 'join') return { until: 'now', snapshotId: current, joined: true };
  const open = visibilityIn(await readStateSlice(deps, current, [historyVisibilityKey])) === 'world_readable';
  if (membership && !membership.forgotten) {
    const stay = await findLastStay(deps, roomId, userId);
    const departure = stay?.departure ? await events.find(stay.departure) : undefined;
    if (departure && departure.snapshotAfter !== null) {
      return { until: 'departure', snapshotId: departure.snapshotAfter, eventId: departure.event.eventId, open };
    }
  }
  if (open) return { until: 'now', snapshotId: current, joined: false };
  throw notAMember();
}

function notAMember(): Error {
  return forbidden('You are not in this room and were not in it before');
}

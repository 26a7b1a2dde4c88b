import { breathe } from '../../base/breathe.ts';
import type { Reaction } from '../../feed/feed.ts';
import { type RoomId, serverOfUser, type UserId } from '../../matrix/ids.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import type { Roster } from '../../roster/roster.ts';
import type { Row } from '../../storage/contract/commit.ts';
import type { Storage } from '../../storage/contract/storage.ts';

export interface ForgottenListDeps {
  readonly serverName: ServerName;
  readonly storage: Pick<Storage, 'deviceLists' | 'rooms'>;
  readonly roster: Pick<Roster, 'isJoined' | 'localUsersIn' | 'roomsOf' | 'usersIn'>;
}

const atOnce = 500;

/** Whether a remote user is in a room with one of ours: only then their server tells us of their devices. */
export function createSharesRoom(roster: Pick<Roster, 'localUsersIn' | 'roomsOf'>): (userId: UserId) => boolean {
  return (userId) => sharesRoomBut(roster, userId, undefined);
}

function sharesRoomBut(
  roster: Pick<Roster, 'localUsersIn' | 'roomsOf'>,
  userId: UserId,
  but: RoomId | undefined,
): boolean {
  for (const roomId of roster.roomsOf(userId)) if (roomId !== but && roster.localUsersIn(roomId).size > 0) return true;
  return false;
}

/**
 * Forgets the device lists of users with whom no room is shared any more, and of those with whom one is shared anew: while there was none, nobody told
 * us of changes.
 */
export function createForgottenLists(deps: ForgottenListDeps): Reaction {
  const { roster, serverName } = deps;
  const isOwn = (userId: UserId): boolean => serverOfUser(userId) === serverName;

  async function rowsFor(users: Iterable<UserId>, isGone: (userId: UserId) => boolean): Promise<Row[]> {
    const gone: UserId[] = [];
    for (const userId of users) {
      if (!isOwn(userId) && isGone(userId)) gone.push(userId);
      await breathe();
    }
    const stored: UserId[] = [];
    for (let from = 0; from < gone.length; from += atOnce) {
      const states = await deps.storage.deviceLists.listRemoteStates(gone.slice(from, from + atOnce));
      stored.push(...states.map(({ userId }) => userId));
    }
    return stored.length === 0 ? [] : [{ kind: 'remote_device_lists_removed', userIds: stored }];
  }

  return {
    name: 'forgotten_device_lists',
    kinds: ['membership'],
    concerns: (change) => change.kind === 'membership' && (change.after === 'join') !== (change.before === 'join'),
    async react(change) {
      if (change.kind !== 'membership') return [];
      const { roomId, userId } = change;
      if (change.after === 'join') {
        // One of ours who is not the first brings nobody new, and a remote user only themselves.
        const others = isOwn(userId) && roster.localUsersIn(roomId).size > 1 ? [] : [...roster.usersIn(roomId)];
        const users = isOwn(userId) ? others : [userId];
        return rowsFor(users, (user) => !sharesRoomBut(roster, user, roomId));
      }
      if (!isOwn(userId)) return rowsFor([userId], (user) => !sharesRoomBut(roster, user, undefined));
      if (roster.localUsersIn(roomId).size > 0) return [];
      // Not of the roster: once nobody of ours is in a room, only storage remembers who was.
      const members = await deps.storage.rooms.listMembers(roomId, ['join']);
      return rowsFor(
        members.map((member) => member.userId),
        (user) => !sharesRoomBut(roster, user, undefined),
      );
    },
  };
}

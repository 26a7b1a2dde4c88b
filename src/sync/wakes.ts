import type { Waiters } from '../feed/feed.ts';
import type { RoomId, UserId } from '../matrix/ids.ts';
import type { Roster } from '../roster/roster.ts';
import type { Change } from '../storage/contract/changes.ts';

export interface WakeDeps {
  readonly roster: Pick<Roster, 'connectedUsersIn' | 'isConnected' | 'roomsOf'>;
  readonly waiters: Pick<Waiters, 'wake'>;
}

/**
 * A listener for the feed that wakes the syncs which a commit may concern. Costs the connected users of the rooms that
 * changed; nobody is woken twice for one commit.
 */
export function createSyncWakes(deps: WakeDeps): (changes: readonly Change[]) => void {
  return (changes) => {
    const users = new Set<UserId>();
    const rooms = new Set<RoomId>();
    for (const change of changes) {
      switch (change.kind) {
        case 'event':
        case 'current_state':
          rooms.add(change.roomId);
          break;
        case 'receipt':
          if (change.receiptType === 'm.read.private') users.add(change.userId);
          else rooms.add(change.roomId);
          break;
        case 'membership':
        case 'account_data':
          users.add(change.userId);
          break;
        case 'key_counts':
          users.add(change.userId);
          break;
        case 'device_list':
          if (!change.here) break;
          users.add(change.viewer ?? change.userId);
          if (change.viewer === null) for (const roomId of deps.roster.roomsOf(change.userId)) rooms.add(roomId);
          break;
        case 'to_device':
          for (const { userId } of change.devices) users.add(userId);
          break;
      }
    }
    const [only] = rooms;
    if (only !== undefined && rooms.size === 1 && users.size === 0) {
      // Nearly every commit: who is connected there is known, and nobody is there twice.
      for (const userId of deps.roster.connectedUsersIn(only)) deps.waiters.wake(userId);
      return;
    }
    for (const roomId of rooms) for (const userId of deps.roster.connectedUsersIn(roomId)) users.add(userId);
    for (const userId of users) if (deps.roster.isConnected(userId)) deps.waiters.wake(userId);
  };
}

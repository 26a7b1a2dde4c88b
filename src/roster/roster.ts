import type { RoomId, UserId } from '../matrix/ids.ts';
import type { ServerName } from '../matrix/server-name.ts';

/**
 * Who is joined to which room, in memory, always as of the last acknowledged write: storage tells the roster before a
 * commit resolves. Every answer is synchronous; sets handed out are live and must not be changed or kept over an await.
 */
export interface Roster {
  /** Rooms that the user is joined to. Empty for unknown users. */
  roomsOf(userId: UserId): ReadonlySet<RoomId>;
  /** The same as of now, for ever: a set that no later change touches. Costs nothing while the user's rooms stay the same. */
  snapshotOfRooms(userId: UserId): ReadonlySet<RoomId>;
  isJoined(roomId: RoomId, userId: UserId): boolean;
  /** All joined users, local and remote. */
  usersIn(roomId: RoomId): ReadonlySet<UserId>;
  localUsersIn(roomId: RoomId): ReadonlySet<UserId>;
  /** Servers with at least one joined user, ours included. */
  serversIn(roomId: RoomId): ReadonlySet<ServerName>;
  /** Joined users of one server in one room. */
  usersOfServerIn(roomId: RoomId, server: ServerName): ReadonlySet<UserId>;
  /** Rooms with at least one joined user of that server. */
  roomsOfServer(server: ServerName): ReadonlySet<RoomId>;
  /** True if both are joined to some room; walks the smaller of the two sets. */
  shareRoom(a: UserId, b: UserId): boolean;
  /** Everybody joined to a room that the user is joined to, without the user. Costs the sum of those rooms. */
  usersSharingWith(userId: UserId): Set<UserId>;
  serversSharingWith(userId: UserId): Set<ServerName>;

  /** A device of a local user began, or stopped, to sync. Counted: each `connect` needs its `disconnect`. */
  connect(userId: UserId): void;
  disconnect(userId: UserId): void;
  isConnected(userId: UserId): boolean;
  /** Local users in the room who are syncing. */
  connectedUsersIn(roomId: RoomId): ReadonlySet<UserId>;
  connectedUsers(): ReadonlySet<UserId>;
}

import { breathe } from '../base/breathe.ts';
import { type RoomId, serverOfUser, type UserId } from '../matrix/ids.ts';
import type { ServerName } from '../matrix/server-name.ts';
import type { Change } from '../storage/contract/changes.ts';
import type { RoomReads } from '../storage/contract/rooms.ts';
import type { Roster } from './roster.ts';

const roomsPerPage = 50;

interface RoomEntry {
  readonly roomId: RoomId;
  readonly users: Set<UserId>;
  readonly servers: Set<ServerName>;
  /** One user stands alone: most servers of a large room have one, and a set for each would cost more than all the rest. */
  readonly byServer: Map<ServerName, UserId | Set<UserId>>;
  /** Made when the first local user of the room connects. */
  connected: Set<UserId> | undefined;
}

interface UserEntry {
  /** The one copy of the id that all sets share. */
  readonly userId: UserId;
  readonly server: ServerName;
  rooms: Set<RoomId>;
  /** Somebody holds `rooms` as a snapshot: the next change makes another set. */
  isHeld: boolean;
}

const none: ReadonlySet<never> = new Set<never>();

export interface MembershipIndexDeps {
  /** Our own name: whose users are local. */
  serverName: ServerName;
}

/** The roster over all joined memberships, kept in memory whole: about 150 bytes for each (room, user). */
export class MembershipIndex implements Roster {
  readonly #serverName: ServerName;
  readonly #rooms = new Map<RoomId, RoomEntry>();
  readonly #users = new Map<UserId, UserEntry>();
  readonly #roomsByServer = new Map<ServerName, { server: ServerName; rooms: Set<RoomId> }>();
  readonly #connections = new Map<UserId, number>();
  readonly #connected = new Set<UserId>();

  constructor(deps: MembershipIndexDeps) {
    this.#serverName = deps.serverName;
  }

  /** Reads every joined membership, a page of rooms at a time. To be awaited before the first commit. */
  async load(rooms: Pick<RoomReads, 'listJoined'>): Promise<void> {
    let afterRoom: RoomId | null = null;
    for (;;) {
      const page: { roomId: RoomId; userIds: UserId[] }[] = await rooms.listJoined(afterRoom, roomsPerPage);
      const last = page.at(-1);
      if (!last) return;
      for (const { roomId, userIds } of page) {
        for (const userId of userIds) this.#join(roomId, userId);
        await breathe();
      }
      afterRoom = last.roomId;
    }
  }

  /** What a commit changed, in order; for the commit listener. Every other kind of change is passed over. */
  apply(changes: readonly Change[]): void {
    for (const change of changes) {
      if (change.kind !== 'membership') continue;
      if (change.after === 'join') this.#join(change.roomId, change.userId);
      else this.#leave(change.roomId, change.userId);
    }
  }

  roomsOf(userId: UserId): ReadonlySet<RoomId> {
    return this.#users.get(userId)?.rooms ?? none;
  }

  snapshotOfRooms(userId: UserId): ReadonlySet<RoomId> {
    const user = this.#users.get(userId);
    if (!user) return none;
    user.isHeld = true;
    return user.rooms;
  }

  isJoined(roomId: RoomId, userId: UserId): boolean {
    return this.#users.get(userId)?.rooms.has(roomId) ?? false;
  }

  usersIn(roomId: RoomId): ReadonlySet<UserId> {
    return this.#rooms.get(roomId)?.users ?? none;
  }

  localUsersIn(roomId: RoomId): ReadonlySet<UserId> {
    return this.usersOfServerIn(roomId, this.#serverName);
  }

  serversIn(roomId: RoomId): ReadonlySet<ServerName> {
    return this.#rooms.get(roomId)?.servers ?? none;
  }

  usersOfServerIn(roomId: RoomId, server: ServerName): ReadonlySet<UserId> {
    const users = this.#rooms.get(roomId)?.byServer.get(server);
    if (users === undefined) return none;
    return typeof users === 'string' ? new Set([users]) : users;
  }

  roomsOfServer(server: ServerName): ReadonlySet<RoomId> {
    return this.#roomsByServer.get(server)?.rooms ?? none;
  }

  shareRoom(a: UserId, b: UserId): boolean {
    const ofA = this.roomsOf(a);
    const ofB = this.roomsOf(b);
    const [few, many] = ofA.size <= ofB.size ? [ofA, ofB] : [ofB, ofA];
    for (const roomId of few) if (many.has(roomId)) return true;
    return false;
  }

  usersSharingWith(userId: UserId): Set<UserId> {
    const sharing = new Set<UserId>();
    for (const roomId of this.roomsOf(userId)) for (const other of this.usersIn(roomId)) sharing.add(other);
    sharing.delete(userId);
    return sharing;
  }

  /** Our own name is among them when the user is joined to any room. */
  serversSharingWith(userId: UserId): Set<ServerName> {
    const sharing = new Set<ServerName>();
    for (const roomId of this.roomsOf(userId)) for (const server of this.serversIn(roomId)) sharing.add(server);
    return sharing;
  }

  connect(userId: UserId): void {
    const count = this.#connections.get(userId) ?? 0;
    this.#connections.set(userId, count + 1);
    if (count > 0) return;
    this.#connected.add(userId);
    for (const roomId of this.roomsOf(userId)) this.#showConnected(roomId, userId);
  }

  disconnect(userId: UserId): void {
    const count = this.#connections.get(userId) ?? 0;
    if (count > 1) {
      this.#connections.set(userId, count - 1);
      return;
    }
    if (!this.#connections.delete(userId)) return;
    this.#connected.delete(userId);
    for (const roomId of this.roomsOf(userId)) this.#hideConnected(roomId, userId);
  }

  isConnected(userId: UserId): boolean {
    return this.#connected.has(userId);
  }

  connectedUsersIn(roomId: RoomId): ReadonlySet<UserId> {
    return this.#rooms.get(roomId)?.connected ?? none;
  }

  connectedUsers(): ReadonlySet<UserId> {
    return this.#connected;
  }

  #join(roomId: RoomId, userId: UserId): void {
    const user = this.#getUser(userId);
    if (user.rooms.has(roomId)) return;
    const room = this.#getRoom(roomId);
    roomsToChange(user).add(room.roomId);
    room.users.add(user.userId);
    const present = room.byServer.get(user.server);
    if (present === undefined) this.#addServer(room, user);
    else if (typeof present === 'string') room.byServer.set(user.server, new Set([present, user.userId]));
    else present.add(user.userId);
    if (this.#connected.has(userId)) this.#showConnected(roomId, user.userId);
  }

  #leave(roomId: RoomId, userId: UserId): void {
    const user = this.#users.get(userId);
    const room = this.#rooms.get(roomId);
    if (!room || !user?.rooms.has(roomId)) return;
    roomsToChange(user).delete(roomId);
    room.users.delete(userId);
    this.#hideConnected(roomId, userId);
    const present = room.byServer.get(user.server);
    if (typeof present === 'object') present.delete(userId);
    if (typeof present !== 'object' || present.size === 0) this.#dropServer(room, user.server);
    if (room.users.size === 0) this.#rooms.delete(roomId);
    if (user.rooms.size === 0) this.#users.delete(userId);
  }

  #addServer(room: RoomEntry, user: UserEntry): void {
    const entry = this.#getServer(user.server);
    entry.rooms.add(room.roomId);
    room.servers.add(entry.server);
    room.byServer.set(entry.server, user.userId);
  }

  #dropServer(room: RoomEntry, server: ServerName): void {
    room.servers.delete(server);
    room.byServer.delete(server);
    const entry = this.#roomsByServer.get(server);
    entry?.rooms.delete(room.roomId);
    if (entry?.rooms.size === 0) this.#roomsByServer.delete(server);
  }

  #getRoom(roomId: RoomId): RoomEntry {
    let room = this.#rooms.get(roomId);
    if (!room) {
      room = { roomId, users: new Set(), servers: new Set(), byServer: new Map(), connected: undefined };
      this.#rooms.set(roomId, room);
    }
    return room;
  }

  #getUser(userId: UserId): UserEntry {
    let user = this.#users.get(userId);
    if (!user) {
      const server = serverOfUser(userId);
      user = { userId, server: this.#roomsByServer.get(server)?.server ?? server, rooms: new Set(), isHeld: false };
      this.#users.set(userId, user);
    }
    return user;
  }

  #getServer(server: ServerName): { server: ServerName; rooms: Set<RoomId> } {
    let entry = this.#roomsByServer.get(server);
    if (!entry) {
      entry = { server, rooms: new Set() };
      this.#roomsByServer.set(server, entry);
    }
    return entry;
  }

  #showConnected(roomId: RoomId, userId: UserId): void {
    const room = this.#rooms.get(roomId);
    if (!room) return;
    room.connected ??= new Set();
    room.connected.add(userId);
  }

  #hideConnected(roomId: RoomId, userId: UserId): void {
    const room = this.#rooms.get(roomId);
    if (!room?.connected?.delete(userId)) return;
    if (room.connected.size === 0) room.connected = undefined;
  }
}

function roomsToChange(user: UserEntry): Set<RoomId> {
  if (user.isHeld) {
    user.rooms = new Set(user.rooms);
    user.isHeld = false;
  }
  return user.rooms;
}

import type { EventId, RoomId, UserId } from '../../matrix/ids.ts';
import type { JsonObject } from '../../matrix/pdu.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import type { Position } from './numbers.ts';

export type Membership = 'join' | 'invite' | 'knock' | 'leave' | 'ban';

export interface RoomRow {
  roomId: RoomId;
  version: string;
}

export interface MembershipRow {
  roomId: RoomId;
  userId: UserId;
  membership: Membership;
  /** The member event. It is not stored as an event when the invite (or its rejection) came from a room that we are not in. */
  eventId: EventId;
  sender: UserId;
  displayname: string | null;
  avatarUrl: string | null;
}

/** An invite to, or a knock on, a room that no local user is in: what the other server told us. */
export interface OutOfBandMembership {
  /** The member event in the client's form. */
  event: JsonObject;
  strippedState: readonly JsonObject[];
  /** Of a knock: the server that took it. */
  via?: ServerName;
}

export type RoomTableRow =
  | ({ kind: 'room' } & RoomRow)
  /** The room's forward extremities are exactly these from now on. */
  | { kind: 'extremities'; roomId: RoomId; eventIds: readonly EventId[] }
  /**
   * The membership in the room's current state (or out of band) changed. Takes a position: for a member event in the same
   * batch the position of that event. Clears `forgotten`.
   */
  | ({ kind: 'membership'; outOfBand?: OutOfBandMembership } & MembershipRow)
  | { kind: 'room_forgotten'; roomId: RoomId; userId: UserId };

export interface StoredMembership extends MembershipRow {
  position: Position;
  forgotten: boolean;
  outOfBand: OutOfBandMembership | null;
}

export interface RoomReads {
  find(roomId: RoomId): Promise<RoomRow | undefined>;
  listExtremities(roomId: RoomId): Promise<EventId[]>;

  findMembership(roomId: RoomId, userId: UserId): Promise<StoredMembership | undefined>;
  /** A user's memberships in these rooms; rooms without one are left out. */
  listMembershipsIn(userId: UserId, roomIds: ReadonlySet<RoomId>): Promise<Map<RoomId, StoredMembership>>;
  /** Of a user, not forgotten, with one of these memberships. */
  listMembershipsOfUser(userId: UserId, memberships: readonly Membership[]): Promise<StoredMembership[]>;
  /** Members of a room with one of these memberships, in order of their first row. Who comes or goes meanwhile may be left out. */
  listMembers(roomId: RoomId, memberships: readonly Membership[]): Promise<StoredMembership[]>;
  /** All memberships of a room, whatever they are, in order of the user ids behind `after`. */
  listMemberPage(roomId: RoomId, after: UserId | null, limit: number): Promise<StoredMembership[]>;
  countMembers(roomId: RoomId, membership: Membership): Promise<number>;
  /** The same for many rooms; those with none are left out. */
  countMembersOf(roomIds: ReadonlySet<RoomId>, membership: Membership): Promise<Map<RoomId, number>>;
  /** Up to `limit` joined and invited members (else left and banned ones) other than `except`, in order of joining: for `m.heroes`. */
  listHeroes(roomId: RoomId, except: UserId, limit: number): Promise<StoredMembership[]>;
  /** The same for many rooms; those with nobody else are left out. */
  listHeroesOf(roomIds: ReadonlySet<RoomId>, except: UserId, limit: number): Promise<Map<RoomId, StoredMembership[]>>;
  /**
   * Every change of this user's memberships with after < position ≤ upTo, oldest first, from the log of changes
   * (a user who left and re-joined has two rows here).
   */
  listMembershipChanges(userId: UserId, after: Position, upTo: Position): Promise<StoredMembership[]>;
  /** The user's membership in the room as of a position; undefined if there was none. */
  findMembershipAt(roomId: RoomId, userId: UserId, at: Position): Promise<StoredMembership | undefined>;
  /** The user's memberships in these rooms as of a position; rooms without one are left out. */
  listMembershipsAt(userId: UserId, roomIds: ReadonlySet<RoomId>, at: Position): Promise<Map<RoomId, StoredMembership>>;
  /**
   * What ended the user's last stay in each of these rooms: the first change behind their last `join`. Rooms in which they are joined, or
   * never were, are left out.
   */
  listLastDepartures(userId: UserId, roomIds: ReadonlySet<RoomId>): Promise<Map<RoomId, StoredMembership>>;
  /** Position of the newest change by which a user of this server who is not joined now stopped being joined to the room. */
  findLastDeparture(roomId: RoomId, server: ServerName): Promise<Position | undefined>;
  /**
   * Who went from any other membership, or none, to `join` in one of these rooms in after < position ≤ upTo. Costs what
   * changed, not the number of rooms.
   */
  listNewlyJoined(
    roomIds: ReadonlySet<RoomId>,
    after: Position,
    upTo: Position,
  ): Promise<{ roomId: RoomId; userId: UserId }[]>;
  /** The same of those who went from `join` to anything else. */
  listDepartures(
    roomIds: ReadonlySet<RoomId>,
    after: Position,
    upTo: Position,
  ): Promise<{ roomId: RoomId; userId: UserId }[]>;
  /** Of these rooms those that a user of this server is invited to. */
  listInvitedOf(server: ServerName, roomIds: ReadonlySet<RoomId>): Promise<Set<RoomId>>;
  /** For the roster's start: every joined (room, user), by room, a page at a time. */
  listJoined(afterRoom: RoomId | null, limit: number): Promise<{ roomId: RoomId; userIds: UserId[] }[]>;
  listRooms(afterRoom: RoomId | null, limit: number): Promise<RoomRow[]>;
  listJoinedServers(roomId: RoomId): Promise<ServerName[]>;
}

import type { RoomAlias, RoomId, UserId } from '../../matrix/ids.ts';
import type { JsonObject } from '../../matrix/pdu.ts';
import type { RoomListing } from '../../matrix/room-listing.ts';

export interface AliasRow {
  alias: RoomAlias;
  roomId: RoomId;
  creator: UserId;
}

export type DirectoryTableRow =
  | ({ kind: 'alias' } & AliasRow)
  | { kind: 'alias_removed'; alias: RoomAlias }
  /** Whether the room stands in the public room list. */
  | { kind: 'room_visibility'; roomId: RoomId; visibility: 'public' | 'private' }
  /** Whether the room stands in the list of a network that an application service bridges to. */
  | { kind: 'network_room'; network: string; roomId: RoomId; visibility: 'public' | 'private' };

/** Which list of rooms: the server's own, that of one network, or all of them as one. */
export type RoomList = 'own' | 'all' | { readonly network: string };

/** A room as lists of rooms show it. Storage keeps it with the room's current state. */
export interface ListedRoom extends RoomListing {
  readonly roomId: RoomId;
  readonly joinedMembers: number;
}

/** What a room says of itself, and what decides who may learn it. */
export interface RoomFacts extends ListedRoom {
  readonly version: string;
  /** Contents of the current state; null where there is none. */
  readonly joinRules: JsonObject | null;
  readonly serverAcl: JsonObject | null;
  readonly encryption: JsonObject | null;
}

/** A place in the public list directly behind a room, with as many members as it had when it was shown. */
export interface PublicRoomPlace {
  readonly joinedMembers: number;
  readonly roomId: RoomId;
}

export interface DirectoryReads {
  findAlias(alias: RoomAlias): Promise<AliasRow | undefined>;
  listAliases(roomId: RoomId): Promise<AliasRow[]>;
  getVisibility(roomId: RoomId): Promise<'public' | 'private'>;
  /**
   * Rooms in the public list that may be shown to everybody (`isListable`) and have members, larger ones first whatever the
   * direction: the nearest `limit` behind the place, or before the room that it names; null: from the beginning, or the
   * end. `search`: its folded text is part of name, topic or canonical alias. `roomTypes`: only these, null standing for
   * rooms without a type.
   */
  listPublicRooms(request: {
    readonly from: PublicRoomPlace | null;
    readonly direction: 'forward' | 'backward';
    readonly limit: number;
    readonly search: string | null;
    readonly roomTypes: readonly (string | null)[] | null;
    /** The server's own when not given. */
    readonly list?: RoomList;
  }): Promise<ListedRoom[]>;
  /** In no order; rooms that are unknown here are left out. Whoever asks decides who may be told. */
  listRoomFacts(roomIds: ReadonlySet<RoomId>): Promise<RoomFacts[]>;
  /** How many rooms the list shows without a filter. */
  countPublicRooms(list?: RoomList): Promise<number>;
  /**
   * Of the next `limit` people behind `after` with words in their name or local part that begin with all of these, without regard to case or
   * accents: whom the searcher may know of, in the order in which they were first heard of. `last`: where to go on; null at the end. Words
   * hold a letter or a digit. One person may come under several names.
   */
  searchUsers(search: {
    readonly searcher: UserId;
    readonly words: readonly string[];
    readonly after: number | null;
    readonly limit: number;
  }): Promise<{ users: FoundUser[]; last: number | null }>;
  /** Of the first `limit` people whose user id begins so, whom the searcher may know of. */
  listUsersByPrefix(search: {
    readonly searcher: UserId;
    readonly prefix: string;
    readonly limit: number;
  }): Promise<FoundUser[]>;
}

/**
 * Somebody whom a user may know of, because they are in a room together or in a room that is open to everybody. Our own users come
 * with their profile, others as they are in such a room.
 */
export interface FoundUser {
  readonly userId: UserId;
  readonly displayname: string | null;
  readonly avatarUrl: string | null;
}

import { isRoomAlias, isRoomId, type RoomAlias, type RoomId } from '../matrix/ids.ts';
import type { JsonObject } from '../matrix/pdu.ts';
import type { ListedRoom } from '../storage/contract/directory.ts';

/** A room as lists of rooms show it (client-server API, "PublishedRoomsChunk"). */
export interface PublicRoom {
  readonly room_id: RoomId;
  readonly num_joined_members: number;
  readonly world_readable: boolean;
  readonly guest_can_join: boolean;
  readonly name?: string;
  readonly topic?: string;
  readonly canonical_alias?: RoomAlias;
  readonly avatar_url?: string;
  readonly join_rule?: string;
  readonly room_type?: string;
}

/** No longer text of another server's is passed on. */
const textLengthMax = 10_000;

export function presentRoom(room: ListedRoom): PublicRoom {
  return {
    room_id: room.roomId,
    num_joined_members: room.joinedMembers,
    world_readable: room.worldReadable,
    guest_can_join: room.guestCanJoin,
    ...(room.name === null ? {} : { name: room.name }),
    ...(room.topic === null ? {} : { topic: room.topic }),
    ...(room.canonicalAlias === null ? {} : { canonical_alias: room.canonicalAlias }),
    ...(room.avatarUrl === null ? {} : { avatar_url: room.avatarUrl }),
    ...(room.joinRule === null ? {} : { join_rule: room.joinRule }),
    ...(room.roomType === null ? {} : { room_type: room.roomType }),
  };
}

/** What another server says of a room, as far as it has the right shape; undefined without an id. */
export function parseRoom(said: JsonObject): PublicRoom | undefined {
  const { room_id: roomId, num_joined_members: members, canonical_alias: alias } = said;
  if (!isRoomId(roomId)) return undefined;
  return {
    room_id: roomId,
    num_joined_members: typeof members === 'number' && Number.isSafeInteger(members) && members >= 0 ? members : 0,
    world_readable: said.world_readable === true,
    guest_can_join: said.guest_can_join === true,
    ...textOf(said, 'name'),
    ...textOf(said, 'topic'),
    ...(isRoomAlias(alias) ? { canonical_alias: alias } : {}),
    ...textOf(said, 'avatar_url'),
    ...textOf(said, 'join_rule'),
    ...textOf(said, 'room_type'),
  };
}

/** The field alone, if it is a text of bearable length. */
export function textOf<Key extends string>(said: JsonObject, key: Key): { readonly [Field in Key]?: string } {
  const value = said[key];
  // The shape has this one key, which the compiler does not see in a computed one.
  return (typeof value === 'string' && value.length <= textLengthMax ? { [key]: value } : {}) as {
    readonly [Field in Key]?: string;
  };
}

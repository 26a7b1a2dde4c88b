import type { RoomAlias, RoomId, UserId } from '../../matrix/ids.ts';

export interface AliasRow {
  alias: RoomAlias;
  roomId: RoomId;
  creator: UserId;
}

export type DirectoryTableRow =
  | ({ kind: 'alias' } & AliasRow)
  | { kind: 'alias_removed'; alias: RoomAlias }
  /** Whether the room stands in the public room list. */
  | { kind: 'room_visibility'; roomId: RoomId; visibility: 'public' | 'private' };

export interface DirectoryReads {
  findAlias(alias: RoomAlias): Promise<AliasRow | undefined>;
  listAliases(roomId: RoomId): Promise<AliasRow[]>;
  getVisibility(roomId: RoomId): Promise<'public' | 'private'>;
}

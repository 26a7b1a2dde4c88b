import type { RoomId, UserId } from '../../matrix/ids.ts';
import type { JsonObject } from '../../matrix/pdu.ts';
import type { Position } from './numbers.ts';

export interface AccountDataRow {
  userId: UserId;
  /** Null: global. */
  roomId: RoomId | null;
  type: string;
  content: JsonObject;
}

/** Takes a position: `/sync` reports it. */
export type AccountDataTableRow = { kind: 'account_data' } & AccountDataRow;

export interface AccountDataReads {
  find(
    userId: UserId,
    roomId: RoomId | null,
    type: string,
  ): Promise<(AccountDataRow & { position: Position }) | undefined>;
  /** What was written behind `after` and not later than `upTo`, global and of all rooms, oldest first. */
  listSince(userId: UserId, after: Position, upTo: Position): Promise<(AccountDataRow & { position: Position })[]>;
  /** Everything of one type, for the caches that compile it (sharing configs, ignore lists). Pages by user id and never parts those of one user. */
  listOfType(type: string, afterUser: UserId | null, limit: number): Promise<AccountDataRow[]>;
  /** The global one of this type of each of these users; those without are left out. */
  listOfUsers(userIds: readonly UserId[], type: string): Promise<AccountDataRow[]>;
}

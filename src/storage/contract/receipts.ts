import type { EventId, RoomId, UserId } from '../../matrix/ids.ts';
import type { Position } from './numbers.ts';

export type ReceiptType = 'm.read' | 'm.read.private';

export interface ReceiptRow {
  roomId: RoomId;
  userId: UserId;
  receiptType: ReceiptType;
  /** Null: unthreaded. */
  threadId: string | null;
  eventId: EventId;
  ts: number;
}

/** Takes a position. One per (room, user, type, thread): the latest wins. */
export type ReceiptTableRow = { kind: 'receipt' } & ReceiptRow;

export interface ReceiptReads {
  find(
    roomId: RoomId,
    userId: UserId,
    receiptType: ReceiptType,
    threadId: string | null,
  ): Promise<(ReceiptRow & { position: Position }) | undefined>;
  /** Every receipt of these users in the room. */
  listOfUsers(roomId: RoomId, userIds: readonly UserId[]): Promise<(ReceiptRow & { position: Position })[]>;
  /** Receipts of these rooms written in after < position ≤ upTo. */
  listSince(
    rooms: ReadonlySet<RoomId>,
    after: Position,
    upTo: Position,
  ): Promise<(ReceiptRow & { position: Position })[]>;
  listOfRoom(roomId: RoomId, upTo: Position): Promise<(ReceiptRow & { position: Position })[]>;
  /** The same for many rooms at once. */
  listOfRooms(roomIds: ReadonlySet<RoomId>, upTo: Position): Promise<(ReceiptRow & { position: Position })[]>;
}

import type { EventId, RoomId, UserId } from '../../matrix/ids.ts';
import type { Position } from '../contract/numbers.ts';
import type { ReceiptReads, ReceiptRow, ReceiptType } from '../contract/receipts.ts';
import type { Connection } from './core/database.ts';
import type { Numbering } from './core/numbering.ts';
import type { Turn } from './core/turn.ts';
import { positionOf, type Writes } from './core/writes.ts';

export interface StoredReceipt {
  roomNo: number;
  userId: UserId;
  receiptType: ReceiptType;
  /** Empty: unthreaded. */
  threadId: string;
  eventId: EventId;
  ts: number;
  position: Position;
}

export const receiptColumns = `room_no AS roomNo, user_id AS userId, receipt_type AS receiptType, thread_id AS threadId,
  event_id AS eventId, ts, position`;

export function parseReceipt(
  { roomNo: _, ...record }: StoredReceipt,
  roomId: RoomId,
): ReceiptRow & { position: Position } {
  return { ...record, roomId, threadId: record.threadId === '' ? null : record.threadId };
}

export function createReceiptReads(connection: Connection, turn: Turn, rooms: Numbering<RoomId>): ReceiptReads {
  const find = connection.prepare<[number, UserId, string, string], StoredReceipt>(
    `SELECT ${receiptColumns} FROM receipts WHERE room_no = ? AND user_id = ? AND receipt_type = ? AND thread_id = ?`,
  );
  const ofUsers = connection.prepare<[string, number], StoredReceipt>(
    `SELECT ${receiptColumns} FROM json_each(?) CROSS JOIN receipts ON room_no = ? AND user_id = value`,
  );
  const since = connection.prepare<[Position, Position], StoredReceipt>(
    `SELECT ${receiptColumns} FROM receipts WHERE position > ? AND position <= ? ORDER BY position`,
  );
  const ofRoom = connection.prepare<[number, Position], StoredReceipt>(
    `SELECT ${receiptColumns} FROM receipts WHERE room_no = ? AND position <= ? ORDER BY position`,
  );
  const ofRooms = connection.prepare<[string, Position], StoredReceipt>(
    `SELECT ${receiptColumns} FROM json_each(?) CROSS JOIN receipts ON room_no = value WHERE position <= ? ORDER BY position`,
  );

  return {
    find: (roomId, userId, receiptType, threadId) =>
      turn.read(() => {
        const record = find.get(rooms.find(roomId) ?? 0, userId, receiptType, threadId ?? '');
        return record && parseReceipt(record, roomId);
      }),
    listOfUsers: (roomId, userIds) =>
      turn.read(() =>
        ofUsers
          .all(JSON.stringify([...new Set(userIds)]), rooms.find(roomId) ?? 0)
          .map((record) => parseReceipt(record, roomId)),
      ),
    listSince: (roomIds, after, upTo) =>
      turn.read(() => {
        const found: (ReceiptRow & { position: Position })[] = [];
        if (roomIds.size === 0) return found;
        for (const record of since.all(after, upTo)) {
          const roomId = rooms.text(record.roomNo);
          if (roomIds.has(roomId)) found.push(parseReceipt(record, roomId));
        }
        return found;
      }),
    listOfRooms: (roomIds, upTo) =>
      turn.read(() => {
        const found = ofRooms.all(JSON.stringify([...rooms.findAll(roomIds).values()]), upTo);
        return found.map((record) => parseReceipt(record, rooms.text(record.roomNo)));
      }),
    listOfRoom: (roomId, upTo) =>
      turn.read(() => ofRoom.all(rooms.find(roomId) ?? 0, upTo).map((record) => parseReceipt(record, roomId))),
  };
}

export function createReceiptWrites(connection: Connection, rooms: Numbering<RoomId>): Writes<'receipt'> {
  const put = connection.prepare<[StoredReceipt]>(
    `INSERT OR REPLACE INTO receipts (room_no, user_id, receipt_type, thread_id, event_id, ts, position)
     VALUES (@roomNo, @userId, @receiptType, @threadId, @eventId, @ts, @position)`,
  );

  return {
    receipt(row, step) {
      const { roomId, userId, receiptType, threadId, eventId, ts } = row;
      const position = positionOf(step);
      put.run({ roomNo: rooms.put(roomId), userId, receiptType, threadId: threadId ?? '', eventId, ts, position });
      step.change({ kind: 'receipt', position, roomId, userId, receiptType, eventId });
    },
  };
}

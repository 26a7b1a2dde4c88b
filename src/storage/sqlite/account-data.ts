import type { RoomId, UserId } from '../../matrix/ids.ts';
import type { JsonObject } from '../../matrix/pdu.ts';
import type { AccountDataReads, AccountDataRow } from '../contract/account-data.ts';
import type { Position } from '../contract/numbers.ts';
import type { Connection } from './core/database.ts';
import type { Turn } from './core/turn.ts';
import { positionOf, type Writes } from './core/writes.ts';

interface Stored {
  userId: UserId;
  /** Empty: global. */
  roomId: RoomId | '';
  type: string;
  content: string;
  position: Position;
}

const columns = 'user_id AS userId, room_id AS roomId, type, content, position';

function parse(record: Stored): AccountDataRow & { position: Position } {
  const content: JsonObject = JSON.parse(record.content);
  return { ...record, roomId: record.roomId === '' ? null : record.roomId, content };
}

function parseRow(record: Stored): AccountDataRow {
  const { position: _, ...row } = parse(record);
  return row;
}

export function createAccountDataReads(connection: Connection, turn: Turn): AccountDataReads {
  const find = connection.prepare<[UserId, string, string], Stored>(
    `SELECT ${columns} FROM account_data WHERE user_id = ? AND room_id = ? AND type = ?`,
  );
  const since = connection.prepare<[UserId, Position, Position], Stored>(
    `SELECT ${columns} FROM account_data WHERE user_id = ? AND position > ? AND position <= ? ORDER BY position`,
  );
  const lastUserOfPage = connection
    .prepare<[string, string, number], UserId | null>(
      `SELECT max(user_id) FROM (
         SELECT user_id FROM account_data WHERE type = ? AND user_id > ? ORDER BY user_id LIMIT ?
       )`,
    )
    .pluck();
  const ofType = connection.prepare<[string, string, UserId], Stored>(
    `SELECT ${columns} FROM account_data WHERE type = ? AND user_id > ? AND user_id <= ? ORDER BY user_id, room_id`,
  );
  const ofUsers = connection.prepare<[string, string], Stored>(
    `SELECT ${columns} FROM (SELECT value FROM json_each(?)) CROSS JOIN account_data
     ON user_id = value AND room_id = '' AND type = ?`,
  );

  return {
    find: (userId, roomId, type) =>
      turn.read(() => {
        const record = find.get(userId, roomId ?? '', type);
        return record && parse(record);
      }),
    listSince: (userId, after, upTo) => turn.read(() => since.all(userId, after, upTo).map(parse)),
    listOfType: (type, afterUser, limit) =>
      turn.read(() => {
        const last = lastUserOfPage.get(type, afterUser ?? '', limit) ?? null;
        if (last === null) return [];
        return ofType.all(type, afterUser ?? '', last).map(parseRow);
      }),
    listOfUsers: (userIds, type) =>
      turn.read(() => ofUsers.all(JSON.stringify([...new Set(userIds)]), type).map(parseRow)),
  };
}

export function createAccountDataWrites(connection: Connection): Writes<'account_data'> {
  const content = connection
    .prepare<[UserId, string, string], string>(
      'SELECT content FROM account_data WHERE user_id = ? AND room_id = ? AND type = ?',
    )
    .pluck();
  const put = connection.prepare<[Stored]>(
    `INSERT OR REPLACE INTO account_data (user_id, room_id, type, content, position)
     VALUES (@userId, @roomId, @type, @content, @position)`,
  );

  return {
    account_data(row, step) {
      const { userId, type } = row;
      const roomId = row.roomId ?? '';
      const text = content.get(userId, roomId, type);
      const before: JsonObject | null = text === undefined ? null : JSON.parse(text);
      const position = positionOf(step);
      put.run({ userId, roomId, type, content: JSON.stringify(row.content), position });
      step.change({
        kind: 'account_data',
        position,
        userId,
        roomId: row.roomId,
        type,
        before,
        content: row.content,
      });
    },
  };
}

import type { RoomId, UserId } from '../../matrix/ids.ts';
import type { JsonObject } from '../../matrix/pdu.ts';
import type {
  KeyBackupReads,
  KeyBackupTableRow,
  RoomKey,
  RoomKeyName,
  StoredKeyBackup,
} from '../contract/key-backups.ts';
import type { Connection } from './core/database.ts';
import type { Turn } from './core/turn.ts';
import type { Writes } from './core/writes.ts';

type BackupRecord = Omit<StoredKeyBackup, 'authData'> & { authData: string };
type KeyRecord = Omit<RoomKey, 'isVerified'> & { isVerified: 0 | 1 };

const backupColumns = 'user_id AS userId, version, algorithm, auth_data AS authData, etag, count';
const keyColumns = `k.room_id AS roomId, k.session_id AS sessionId, k.first_message_index AS firstMessageIndex,
  k.forwarded_count AS forwardedCount, k.is_verified AS isVerified, k.session_data AS sessionData`;
/** `@names` is a list of rooms and sessions, each a list of the two. */
const namedKeys = `json_each(@names) n CROSS JOIN key_backup_keys k
  ON k.user_id = @userId AND k.version = @version AND k.room_id = n.value ->> 0 AND k.session_id = n.value ->> 1`;

interface Named {
  userId: UserId;
  version: number;
  names: string;
}

interface Page {
  userId: UserId;
  version: number;
  roomId: RoomId | null;
  afterRoom: string;
  afterSession: string;
  limit: number;
}

export function createKeyBackupReads(connection: Connection, turn: Turn): KeyBackupReads {
  const last = connection
    .prepare<[UserId], number | null>('SELECT max(version) FROM key_backups WHERE user_id = ?')
    .pluck();
  const newest = connection.prepare<[UserId], BackupRecord>(
    `SELECT ${backupColumns} FROM key_backups WHERE user_id = ? AND removed = 0 ORDER BY version DESC LIMIT 1`,
  );
  const one = connection.prepare<[UserId, number], BackupRecord>(
    `SELECT ${backupColumns} FROM key_backups WHERE user_id = ? AND version = ? AND removed = 0`,
  );
  const named = connection.prepare<[Named], KeyRecord>(`SELECT ${keyColumns} FROM ${namedKeys}`);
  const page = (room: string) =>
    connection.prepare<[Page], KeyRecord>(
      `SELECT ${keyColumns} FROM key_backup_keys k
       WHERE k.user_id = @userId AND k.version = @version AND ${room} ORDER BY k.room_id, k.session_id LIMIT @limit`,
    );
  const ofRoom = page('k.room_id = @roomId AND k.session_id > @afterSession');
  const ofAll = page('(k.room_id, k.session_id) > (@afterRoom, @afterSession)');

  return {
    getLastVersion: (userId) => turn.read(() => last.get(userId) ?? 0),
    findNewest: (userId) => turn.read(() => backupOf(newest.get(userId))),
    find: (userId, version) => turn.read(() => backupOf(one.get(userId, version))),
    listNamedKeys: (userId, version, names) =>
      turn.read(() => named.all({ userId, version, names: encodeNames(names) }).map(keyOf)),
    listKeys: (userId, version, { roomId, after, limit }) =>
      turn.read(() => {
        const place = { afterRoom: after?.roomId ?? '', afterSession: after?.sessionId ?? '' };
        const statement = roomId === null ? ofAll : ofRoom;
        return statement.all({ userId, version, roomId, ...place, limit }).map(keyOf);
      }),
  };
}

export function createKeyBackupWrites(connection: Connection): Writes<KeyBackupTableRow['kind']> {
  const put = connection.prepare<[UserId, number, string, string]>(
    `INSERT INTO key_backups (user_id, version, algorithm, auth_data) VALUES (?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET algorithm = excluded.algorithm, auth_data = excluded.auth_data`,
  );
  const remove = connection.prepare<[UserId, number]>(
    `UPDATE key_backups SET removed = 1, algorithm = '', auth_data = '{}' WHERE user_id = ? AND version = ?`,
  );
  const known = connection.prepare<[Named], number>(`SELECT count(*) FROM ${namedKeys}`).pluck();
  const putKey = connection.prepare<[KeyRecord & { userId: UserId; version: number }]>(
    `INSERT OR REPLACE INTO key_backup_keys
       (user_id, version, room_id, session_id, first_message_index, forwarded_count, is_verified, session_data)
     VALUES (@userId, @version, @roomId, @sessionId, @firstMessageIndex, @forwardedCount, @isVerified, @sessionData)`,
  );
  const count = connection.prepare<[number, UserId, number]>(
    'UPDATE key_backups SET etag = etag + 1, count = count + ? WHERE user_id = ? AND version = ?',
  );
  const removeAll = connection.prepare<[UserId, number]>(
    'DELETE FROM key_backup_keys WHERE user_id = ? AND version = ?',
  );
  const removeOfRoom = connection.prepare<[UserId, number, RoomId]>(
    'DELETE FROM key_backup_keys WHERE user_id = ? AND version = ? AND room_id = ?',
  );
  const removeOne = connection.prepare<[UserId, number, RoomId, string]>(
    'DELETE FROM key_backup_keys WHERE user_id = ? AND version = ? AND room_id = ? AND session_id = ?',
  );

  return {
    key_backup({ userId, version, algorithm, authData }) {
      put.run(userId, version, algorithm, JSON.stringify(authData));
    },
    key_backup_removed({ userId, version }) {
      remove.run(userId, version);
      removeAll.run(userId, version);
    },
    room_keys({ userId, version, keys }) {
      const replaced = known.get({ userId, version, names: encodeNames(keys) }) ?? 0;
      for (const key of keys) putKey.run({ userId, version, ...key, isVerified: key.isVerified ? 1 : 0 });
      count.run(keys.length - replaced, userId, version);
    },
    room_keys_removed({ userId, version, roomId, sessionId }) {
      const { changes } =
        roomId === null
          ? removeAll.run(userId, version)
          : sessionId === null
            ? removeOfRoom.run(userId, version, roomId)
            : removeOne.run(userId, version, roomId, sessionId);
      if (changes > 0) count.run(-changes, userId, version);
    },
  };
}

function encodeNames(names: readonly RoomKeyName[]): string {
  return JSON.stringify(names.map(({ roomId, sessionId }) => [roomId, sessionId]));
}

function backupOf(record: BackupRecord | undefined): StoredKeyBackup | undefined {
  if (record === undefined) return undefined;
  const authData: JsonObject = JSON.parse(record.authData);
  return { ...record, authData };
}

function keyOf(record: KeyRecord): RoomKey {
  return { ...record, isVerified: record.isVerified === 1 };
}

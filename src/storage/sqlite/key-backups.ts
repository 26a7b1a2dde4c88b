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
import type { Leftovers } from './core/leftovers.ts';
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

/** Keys that are deleted at a time. */
const removedAtOnce = 200;

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
  const page = <Found>(columns: string, room: string) =>
    connection.prepare<[Page], Found>(
      `SELECT ${columns} FROM key_backup_keys k
       WHERE k.user_id = @userId AND k.version = @version AND ${room} ORDER BY k.room_id, k.session_id LIMIT @limit`,
    );
  const inRoom = 'k.room_id = @roomId AND k.session_id > @afterSession';
  const inAny = '(k.room_id, k.session_id) > (@afterRoom, @afterSession)';
  const [ofRoom, ofAll] = [page<KeyRecord>(keyColumns, inRoom), page<KeyRecord>(keyColumns, inAny)];
  const nameColumns = 'k.room_id AS roomId, k.session_id AS sessionId';
  const [namesOfRoom, namesOfAll] = [page<RoomKeyName>(nameColumns, inRoom), page<RoomKeyName>(nameColumns, inAny)];

  return {
    getLastVersion: (userId) => turn.read(() => last.get(userId) ?? 0),
    findNewest: (userId) => turn.read(() => backupOf(newest.get(userId))),
    find: (userId, version) => turn.read(() => backupOf(one.get(userId, version))),
    listNamedKeys: (userId, version, names) =>
      turn.read(() => named.all({ userId, version, names: encodeNames(names) }).map(keyOf)),
    listKeyNames: (userId, version, { roomId, after, limit }) =>
      turn.read(() => {
        const place = { afterRoom: after?.roomId ?? '', afterSession: after?.sessionId ?? '' };
        return (roomId === null ? namesOfAll : namesOfRoom).all({ userId, version, roomId, ...place, limit });
      }),
    listKeys: (userId, version, { roomId, after, limit }) =>
      turn.read(() => {
        const place = { afterRoom: after?.roomId ?? '', afterSession: after?.sessionId ?? '' };
        const statement = roomId === null ? ofAll : ofRoom;
        return statement.all({ userId, version, roomId, ...place, limit }).map(keyOf);
      }),
  };
}

/** What goes with an account. */
export interface KeyBackupRemoval {
  /** All backups of the user. */
  ofUser(userId: UserId): void;
}

export interface KeyBackupWrites {
  readonly rows: Writes<KeyBackupTableRow['kind']>;
  readonly removal: KeyBackupRemoval;
}

export function createKeyBackupWrites(connection: Connection, leftovers: Leftovers): KeyBackupWrites {
  const put = connection.prepare<[UserId, number, string, string]>(
    `INSERT INTO key_backups (user_id, version, algorithm, auth_data) VALUES (?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET algorithm = excluded.algorithm, auth_data = excluded.auth_data`,
  );
  const versions = connection
    .prepare<[UserId], number>('SELECT version FROM key_backups WHERE user_id = ? AND removed = 0')
    .pluck();
  const remove = connection.prepare<[UserId, number]>(
    `UPDATE key_backups SET removed = 1, algorithm = '', auth_data = '{}' WHERE user_id = ? AND version = ?`,
  );
  const leave = connection.prepare<[UserId, number]>(
    'INSERT OR IGNORE INTO key_backup_leftovers (user_id, version) VALUES (?, ?)',
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
  const removeNamed = connection.prepare<[Named]>(
    `DELETE FROM key_backup_keys WHERE user_id = @userId AND version = @version AND (room_id, session_id) IN (
       SELECT n.value ->> 0, n.value ->> 1 FROM json_each(@names) n
     )`,
  );
  addLeftovers(connection, leftovers);

  const removeVersion = (userId: UserId, version: number): void => {
    remove.run(userId, version);
    leave.run(userId, version);
    leftovers.expect();
  };
  const rows: Writes<KeyBackupTableRow['kind']> = {
    key_backup({ userId, version, algorithm, authData }) {
      put.run(userId, version, algorithm, JSON.stringify(authData));
    },
    key_backup_removed({ userId, version }) {
      removeVersion(userId, version);
    },
    room_keys({ userId, version, keys }) {
      const replaced = known.get({ userId, version, names: encodeNames(keys) }) ?? 0;
      for (const key of keys) putKey.run({ userId, version, ...key, isVerified: key.isVerified ? 1 : 0 });
      count.run(keys.length - replaced, userId, version);
    },
    room_keys_removed({ userId, version, keys }) {
      const { changes } = removeNamed.run({ userId, version, names: encodeNames(keys) });
      if (changes > 0) count.run(-changes, userId, version);
    },
  };
  const removal: KeyBackupRemoval = {
    ofUser(userId) {
      for (const version of versions.all(userId)) removeVersion(userId, version);
    },
  };
  return { rows, removal };
}

/** The keys of versions that were removed. */
function addLeftovers(connection: Connection, leftovers: Leftovers): void {
  const next = connection.prepare<[], { userId: UserId; version: number }>(
    'SELECT user_id AS userId, version FROM key_backup_leftovers LIMIT 1',
  );
  const removeSome = connection.prepare<[UserId, number, UserId, number, number]>(
    `DELETE FROM key_backup_keys WHERE user_id = ? AND version = ? AND (room_id, session_id) IN (
       SELECT room_id, session_id FROM key_backup_keys WHERE user_id = ? AND version = ?
       ORDER BY room_id, session_id LIMIT ?
     )`,
  );
  const forget = connection.prepare<[UserId, number]>(
    'DELETE FROM key_backup_leftovers WHERE user_id = ? AND version = ?',
  );
  leftovers.add(() => {
    const left = next.get();
    if (left === undefined) return 0;
    const { userId, version } = left;
    const { changes } = removeSome.run(userId, version, userId, version, removedAtOnce);
    return changes > 0 ? changes : forget.run(userId, version).changes;
  });
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

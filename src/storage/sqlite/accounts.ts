import type { DeviceId, UserId } from '../../matrix/ids.ts';
import type { JsonObject } from '../../matrix/pdu.ts';
import type {
  AccountReads,
  AccountRow,
  AccountTableRow,
  DeviceRow,
  FilterRow,
  ProfileRow,
} from '../contract/accounts.ts';
import type { Position } from '../contract/numbers.ts';
import type { Connection } from './core/database.ts';
import type { ErasedUsers } from './core/erased-users.ts';
import type { Turn } from './core/turn.ts';
import { positionOf, type Writes } from './core/writes.ts';
import type { KeyRemoval } from './device-keys.ts';
import type { DeviceLeftovers } from './device-leftovers.ts';
import type { KeyBackupRemoval } from './key-backups.ts';
import { createTokenReads, createTokenRemoval, createTokenWrites } from './tokens.ts';
import type { DirectoryNames } from './user-directory.ts';

const accountColumns =
  'user_id AS userId, password_hash AS passwordHash, created_at_ms AS createdAtMs, deactivated_at_ms AS deactivatedAtMs';
const deviceColumns = `user_id AS userId, device_id AS deviceId, display_name AS displayName, created_at_ms AS createdAtMs,
  last_seen_at_ms AS lastSeenAtMs, last_seen_ip AS lastSeenIp`;

export function createAccountReads(connection: Connection, turn: Turn, erased: ErasedUsers): AccountReads {
  const account = connection.prepare<[UserId], AccountRow>(`SELECT ${accountColumns} FROM accounts WHERE user_id = ?`);
  const admin = connection.prepare<[UserId]>(
    'SELECT 1 FROM accounts WHERE user_id = ? AND is_admin = 1 AND deactivated_at_ms IS NULL',
  );
  const device = connection.prepare<[UserId, DeviceId], DeviceRow>(
    `SELECT ${deviceColumns} FROM devices WHERE user_id = ? AND device_id = ?`,
  );
  const devices = connection.prepare<[UserId], DeviceRow>(
    `SELECT ${deviceColumns} FROM devices WHERE user_id = ? ORDER BY device_id`,
  );
  const profile = connection.prepare<[UserId], ProfileRow>(
    'SELECT user_id AS userId, displayname, avatar_url AS avatarUrl FROM profiles WHERE user_id = ?',
  );
  const profileFields = connection.prepare<[UserId], { field: string; value: string }>(
    'SELECT field, value FROM profile_fields WHERE user_id = ? ORDER BY field',
  );
  const filter = connection
    .prepare<[UserId, string], string>('SELECT definition FROM filters WHERE user_id = ? AND filter_id = ?')
    .pluck();
  const departing = connection
    .prepare<[string, number], UserId>(
      `SELECT user_id FROM accounts a
       WHERE user_id > ? AND deactivated_at_ms IS NOT NULL AND EXISTS (
         SELECT 1 FROM memberships m WHERE m.user_id = a.user_id AND m.membership IN ('join', 'invite', 'knock')
       )
       ORDER BY user_id LIMIT ?`,
    )
    .pluck();
  const accounts = connection.prepare<[string, number], AccountRow>(
    `SELECT ${accountColumns} FROM accounts WHERE user_id > ? AND deactivated_at_ms IS NULL ORDER BY user_id LIMIT ?`,
  );

  return {
    findAccount: (userId) => turn.read(() => account.get(userId)),
    isAdmin: (userId) => turn.read(() => admin.get(userId) !== undefined),
    ...createTokenReads(connection, turn),
    findDevice: (userId, deviceId) => turn.read(() => device.get(userId, deviceId)),
    listDevices: (userId) => turn.read(() => devices.all(userId)),
    findProfile: (userId) => turn.read(() => profile.get(userId)),
    listProfileFields: (userId) =>
      turn.read(() => {
        const fields = profileFields
          .all(userId)
          .map(({ field, value }): [string, unknown] => [field, JSON.parse(value)]);
        return Object.fromEntries(fields);
      }),
    findFilter: (userId, filterId) =>
      turn.read((): FilterRow | undefined => {
        const text = filter.get(userId, filterId);
        if (text === undefined) return undefined;
        const definition: JsonObject = JSON.parse(text);
        return { userId, filterId, definition };
      }),
    listDeparting: (after, limit) => turn.read(() => departing.all(after ?? '', limit)),
    erasedAt: (userId) => erased.find(userId),
    listAccounts: (after, limit) => turn.read(() => accounts.all(after ?? '', limit)),
  };
}

/** What goes with an account or a device. */
interface AccountWriteDeps {
  readonly names: DirectoryNames;
  readonly erased: ErasedUsers;
  readonly keys: KeyRemoval;
  readonly backups: KeyBackupRemoval;
  readonly left: DeviceLeftovers;
}

export function createAccountWrites(
  connection: Connection,
  { names, erased, keys, backups, left }: AccountWriteDeps,
): Writes<AccountTableRow['kind']> {
  const deactivatedAt = connection
    .prepare<[UserId], number | null>('SELECT deactivated_at_ms FROM accounts WHERE user_id = ?')
    .pluck();
  const isActive = connection.prepare<[UserId]>(
    'SELECT 1 FROM accounts WHERE user_id = ? AND deactivated_at_ms IS NULL',
  );
  const putAccount = connection.prepare<[AccountRow]>(
    `INSERT INTO accounts (user_id, password_hash, created_at_ms, deactivated_at_ms)
     VALUES (@userId, @passwordHash, @createdAtMs, @deactivatedAtMs)
     ON CONFLICT DO UPDATE SET password_hash = excluded.password_hash, created_at_ms = excluded.created_at_ms,
       deactivated_at_ms = excluded.deactivated_at_ms`,
  );
  const makeAdmin = connection.prepare<[UserId]>('UPDATE accounts SET is_admin = 1 WHERE user_id = ?');
  const putDevice = connection.prepare<[DeviceRow]>(
    `INSERT INTO devices (user_id, device_id, display_name, created_at_ms, last_seen_at_ms, last_seen_ip)
     VALUES (@userId, @deviceId, @displayName, @createdAtMs, @lastSeenAtMs, @lastSeenIp)
     ON CONFLICT DO UPDATE SET display_name = excluded.display_name, created_at_ms = excluded.created_at_ms,
       last_seen_at_ms = excluded.last_seen_at_ms, last_seen_ip = excluded.last_seen_ip`,
  );
  const removeDevice = connection.prepare<[UserId, DeviceId]>(
    'DELETE FROM devices WHERE user_id = ? AND device_id = ?',
  );
  const profile = connection.prepare<[UserId], Omit<ProfileRow, 'userId'>>(
    'SELECT displayname, avatar_url AS avatarUrl FROM profiles WHERE user_id = ?',
  );
  const putProfile = connection.prepare<[ProfileRow]>(
    `INSERT INTO profiles (user_id, displayname, avatar_url) VALUES (@userId, @displayname, @avatarUrl)
     ON CONFLICT DO UPDATE SET displayname = excluded.displayname, avatar_url = excluded.avatar_url`,
  );
  const putProfileField = connection.prepare<[UserId, string, string]>(
    'INSERT OR REPLACE INTO profile_fields (user_id, field, value) VALUES (?, ?, ?)',
  );
  const removeProfileField = connection.prepare<[UserId, string]>(
    'DELETE FROM profile_fields WHERE user_id = ? AND field = ?',
  );
  const putFilter = connection.prepare<[UserId, string, string]>(
    'INSERT OR REPLACE INTO filters (user_id, filter_id, definition) VALUES (?, ?, ?)',
  );

  const removeDevicePushers = connection.prepare<[UserId, DeviceId]>(
    'DELETE FROM pushers WHERE user_id = ? AND device_id = ?',
  );
  const markErased = connection.prepare<[Position, UserId]>(
    'UPDATE accounts SET erased_at_position = ? WHERE user_id = ?',
  );
  const removeOwned = ['account_data', 'filters', 'profile_fields'].map((table) =>
    connection.prepare<[UserId]>(`DELETE FROM ${table} WHERE user_id = ?`),
  );
  const tokenRemoval = createTokenRemoval(connection);

  return {
    ...createTokenWrites(connection, tokenRemoval),
    account(row, step) {
      const wasActive = (deactivatedAt.get(row.userId) ?? null) === null;
      putAccount.run(row);
      if (row.deactivatedAtMs !== null) names.removeLocal(row.userId);
      else names.putLocal(row.userId, profile.get(row.userId)?.displayname ?? null);
      if (!wasActive || row.deactivatedAtMs === null) return;
      keys.ofUser(row.userId);
      step.change({ kind: 'account_deactivated', userId: row.userId });
    },
    account_erased({ userId }, step) {
      const position = positionOf(step);
      markErased.run(position, userId);
      erased.add(userId, position);
      for (const statement of removeOwned) statement.run(userId);
      backups.ofUser(userId);
    },
    account_admin({ userId }) {
      makeAdmin.run(userId);
    },
    device(row) {
      putDevice.run(row);
    },
    device_removed({ userId, deviceId }, step) {
      removeDevice.run(userId, deviceId);
      tokenRemoval.ofDevice(userId, deviceId);
      left.ofDevice(userId, deviceId, positionOf(step));
      removeDevicePushers.run(userId, deviceId);
      step.change({ kind: 'device_removed', userId, deviceId });
      keys.ofDevice(userId, deviceId, step);
    },
    profile(row, step) {
      const before = profile.get(row.userId) ?? null;
      putProfile.run(row);
      const { userId, displayname, avatarUrl } = row;
      if (isActive.get(userId) !== undefined) names.putLocal(userId, displayname);
      step.change({ kind: 'profile', position: positionOf(step), userId, before, after: { displayname, avatarUrl } });
    },
    profile_field({ userId, field, value }) {
      putProfileField.run(userId, field, JSON.stringify(value));
    },
    profile_field_removed({ userId, field }) {
      removeProfileField.run(userId, field);
    },
    filter({ userId, filterId, definition }) {
      putFilter.run(userId, filterId, JSON.stringify(definition));
    },
  };
}

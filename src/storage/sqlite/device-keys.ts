import type { DeviceId, UserId } from '../../matrix/ids.ts';
import type { JsonObject } from '../../matrix/pdu.ts';
import type { DeviceKeyReads, DeviceKeyTableRow, DeviceWithKeys } from '../contract/device-keys.ts';
import type { Connection } from './core/database.ts';
import type { Turn } from './core/turn.ts';
import type { Step, Writes } from './core/writes.ts';
import type { DeviceListMarks } from './device-lists.ts';

type Stored = Omit<DeviceWithKeys, 'keys'> & { keys: string | null };

export function parseObject(text: string): JsonObject {
  return JSON.parse(text);
}

export function createDeviceKeyReads(connection: Connection, turn: Turn): DeviceKeyReads {
  const find = connection
    .prepare<[UserId, DeviceId], string>('SELECT keys FROM device_keys WHERE user_id = ? AND device_id = ?')
    .pluck();
  const ofUsers = connection.prepare<[string], Stored>(
    `SELECT d.user_id AS userId, d.device_id AS deviceId, d.display_name AS displayName, k.keys
     FROM json_each(?) CROSS JOIN devices d ON d.user_id = value
       LEFT JOIN device_keys k ON k.user_id = d.user_id AND k.device_id = d.device_id
     ORDER BY d.user_id, d.device_id`,
  );
  return {
    findDeviceKeys: (userId, deviceId) =>
      turn.read(() => {
        const text = find.get(userId, deviceId);
        return text === undefined ? undefined : parseObject(text);
      }),
    listDevicesWithKeys: (userIds) =>
      turn.read(() =>
        ofUsers
          .all(JSON.stringify([...new Set(userIds)]))
          .map((row) => ({ ...row, keys: row.keys === null ? null : parseObject(row.keys) })),
      ),
  };
}

export function createDeviceKeyWrites(connection: Connection): Writes<DeviceKeyTableRow['kind']> {
  const put = connection.prepare<[UserId, DeviceId, string]>(
    'INSERT OR REPLACE INTO device_keys (user_id, device_id, keys) VALUES (?, ?, ?)',
  );
  return {
    device_keys({ userId, deviceId, keys }) {
      put.run(userId, deviceId, JSON.stringify(keys));
    },
  };
}

/** What goes with a device or an account. */
export interface KeyRemoval {
  /** All that the device left here. Others are told that it is gone. */
  ofDevice(userId: UserId, deviceId: DeviceId, step: Step): void;
  /** With which the user signed, and the signatures. */
  ofUser(userId: UserId): void;
}

export function createKeyRemoval(connection: Connection, marks: DeviceListMarks): KeyRemoval {
  const ofDevice = ['device_keys', 'one_time_keys', 'fallback_keys'].map((table) =>
    connection.prepare<[UserId, DeviceId]>(`DELETE FROM ${table} WHERE user_id = ? AND device_id = ?`),
  );
  const signatures = connection.prepare<[UserId, DeviceId]>(
    'DELETE FROM key_signatures WHERE target_user_id = ? AND signer_user_id = target_user_id AND target = ?',
  );
  const ofUser = [
    'DELETE FROM cross_signing_keys WHERE user_id = ?',
    'DELETE FROM key_signatures WHERE signer_user_id = ?',
  ].map((sql) => connection.prepare<[UserId]>(sql));
  return {
    ofDevice(userId, deviceId, step) {
      // Before the keys go: whether there were any decides who is told.
      const change = { userId, viewer: null, told: 'if_keys', deviceIds: [deviceId], signingKeys: false } as const;
      marks.add(change, step);
      for (const statement of ofDevice) statement.run(userId, deviceId);
      signatures.run(userId, deviceId);
    },
    ofUser(userId) {
      for (const statement of ofUser) statement.run(userId);
    },
  };
}

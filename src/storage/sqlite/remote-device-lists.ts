import type { DeviceId, UserId } from '../../matrix/ids.ts';
import type { JsonObject } from '../../matrix/pdu.ts';
import type {
  DeviceListReads,
  DeviceListTableRow,
  RemoteDevice,
  RemoteDeviceList,
  RemoteDeviceListState,
} from '../contract/device-lists.ts';
import type { Connection } from './core/database.ts';
import type { Turn } from './core/turn.ts';
import type { Writes } from './core/writes.ts';
import { parseObject } from './device-keys.ts';

/** Updates of a user that are remembered. */
const updatesMax = 100;

type RemoteReads = Omit<DeviceListReads, 'listChanged' | 'findStream'>;
type RemoteKind = Exclude<DeviceListTableRow['kind'], 'device_list_change' | 'device_list_stream'>;

interface StoredList {
  userId: UserId;
  streamId: number | null;
  masterKey: string | null;
  selfSigningKey: string | null;
}
interface StoredDevice {
  userId: UserId;
  deviceId: DeviceId;
  displayName: string | null;
  keys: string | null;
}

const stateColumns = `user_id AS userId, state, stream_id AS streamId, fetched_at_ms AS fetchedAtMs, failures,
  retry_at_ms AS retryAtMs`;

function parse(text: string | null): JsonObject | null {
  return text === null ? null : parseObject(text);
}

function encode(value: JsonObject | null): string | null {
  return value === null ? null : JSON.stringify(value);
}

/** What other servers said of their users' devices. */
export function createRemoteDeviceListReads(connection: Connection, turn: Turn): RemoteReads {
  const state = connection.prepare<[UserId], RemoteDeviceListState>(
    `SELECT ${stateColumns} FROM remote_device_lists WHERE user_id = ?`,
  );
  const states = connection.prepare<[string], RemoteDeviceListState>(
    `SELECT ${stateColumns} FROM json_each(?) CROSS JOIN remote_device_lists ON user_id = value`,
  );
  const stale = connection.prepare<[number], RemoteDeviceListState>(
    `SELECT ${stateColumns} FROM remote_device_lists WHERE state = 'stale' ORDER BY retry_at_ms LIMIT ?`,
  );
  const lists = connection.prepare<[string], StoredList>(
    `SELECT user_id AS userId, stream_id AS streamId, master_key AS masterKey, self_signing_key AS selfSigningKey
     FROM json_each(?) CROSS JOIN remote_device_lists ON user_id = value WHERE state = 'fresh'`,
  );
  const devices = connection.prepare<[string], StoredDevice>(
    `SELECT user_id AS userId, device_id AS deviceId, display_name AS displayName, keys
     FROM json_each(?) CROSS JOIN remote_devices ON user_id = value ORDER BY user_id, device_id`,
  );
  const update = connection.prepare<[UserId, number]>(
    'SELECT 1 FROM remote_device_list_updates WHERE user_id = ? AND stream_id = ?',
  );

  return {
    findRemoteState: (userId) => turn.read(() => state.get(userId)),
    listRemoteStates: (userIds) => turn.read(() => states.all(JSON.stringify(userIds))),
    listFreshLists: (userIds) =>
      turn.read(() => {
        const found = lists.all(JSON.stringify([...new Set(userIds)]));
        const ofUser = new Map<UserId, RemoteDevice[]>();
        for (const row of devices.all(JSON.stringify(found.map(({ userId }) => userId)))) {
          const { userId, deviceId, displayName } = row;
          const list = ofUser.get(userId) ?? [];
          list.push({ deviceId, displayName, keys: parse(row.keys) });
          ofUser.set(userId, list);
        }
        return found.map(
          ({ userId, streamId, masterKey, selfSigningKey }): RemoteDeviceList => ({
            userId,
            streamId,
            masterKey: parse(masterKey),
            selfSigningKey: parse(selfSigningKey),
            devices: ofUser.get(userId) ?? [],
          }),
        );
      }),
    isUpdateKnown: (userId, streamId) => turn.read(() => update.get(userId, streamId) !== undefined),
    listStale: (limit) => turn.read(() => stale.all(limit)),
  };
}

export function createRemoteDeviceListWrites(connection: Connection): Writes<RemoteKind> {
  const statements = prepare(connection);
  const addUpdate = (userId: UserId, streamId: number): void => {
    statements.addUpdate.run(streamId, userId);
    statements.pruneUpdates.run(userId, userId, updatesMax);
  };
  const addDevice = (userId: UserId, { deviceId, displayName, keys }: RemoteDevice): void => {
    statements.putDevice.run(userId, deviceId, displayName, encode(keys));
  };

  return {
    remote_device_list({ userId, streamId, masterKey, selfSigningKey, devices, fetchedAtMs }) {
      statements.remove.run(JSON.stringify([userId]));
      statements.insert.run(userId, streamId, fetchedAtMs, encode(masterKey), encode(selfSigningKey));
      for (const device of devices) addDevice(userId, device);
      if (streamId !== null) addUpdate(userId, streamId);
    },
    remote_device_list_stale({ userId, failures, retryAtMs }) {
      statements.putStale.run(userId, failures, retryAtMs);
      statements.dropDevices.run(userId);
    },
    remote_device_list_update({ userId, streamId }) {
      addUpdate(userId, streamId);
    },
    remote_device({ userId, deviceId, streamId, device }) {
      if (device) addDevice(userId, device);
      else statements.removeDevice.run(userId, deviceId);
      statements.advance.run(streamId, userId);
      addUpdate(userId, streamId);
    },
    remote_signing_keys({ userId, masterKey, selfSigningKey }) {
      statements.putSigningKeys.run(encode(masterKey), encode(selfSigningKey), userId);
    },
    remote_device_lists_removed({ userIds }) {
      statements.remove.run(JSON.stringify(userIds));
    },
  };
}

function prepare(connection: Connection) {
  return {
    remove: connection.prepare<[string]>(
      'DELETE FROM remote_device_lists WHERE user_id IN (SELECT value FROM json_each(?))',
    ),
    insert: connection.prepare<[UserId, number | null, number, string | null, string | null]>(
      `INSERT INTO remote_device_lists (user_id, state, stream_id, fetched_at_ms, master_key, self_signing_key)
       VALUES (?, 'fresh', ?, ?, ?, ?)`,
    ),
    putDevice: connection.prepare<[UserId, DeviceId, string | null, string | null]>(
      'INSERT OR REPLACE INTO remote_devices (user_id, device_id, display_name, keys) VALUES (?, ?, ?, ?)',
    ),
    removeDevice: connection.prepare<[UserId, DeviceId]>(
      'DELETE FROM remote_devices WHERE user_id = ? AND device_id = ?',
    ),
    dropDevices: connection.prepare<[UserId]>('DELETE FROM remote_devices WHERE user_id = ?'),
    advance: connection.prepare<[number, UserId]>(
      'UPDATE remote_device_lists SET stream_id = max(stream_id, ?) WHERE user_id = ?',
    ),
    putStale: connection.prepare<[UserId, number, number]>(
      `INSERT INTO remote_device_lists (user_id, state, failures, retry_at_ms) VALUES (?, 'seen', ?, ?)
       ON CONFLICT DO UPDATE SET state = CASE state WHEN 'seen' THEN 'seen' ELSE 'stale' END, failures = excluded.failures,
         retry_at_ms = excluded.retry_at_ms, master_key = NULL, self_signing_key = NULL`,
    ),
    putSigningKeys: connection.prepare<[string | null, string | null, UserId]>(
      `UPDATE remote_device_lists SET master_key = coalesce(?, master_key),
         self_signing_key = coalesce(?, self_signing_key)
       WHERE user_id = ? AND state = 'fresh'`,
    ),
    addUpdate: connection.prepare<[number, UserId]>(
      `INSERT OR IGNORE INTO remote_device_list_updates (user_id, stream_id)
       SELECT user_id, ? FROM remote_device_lists WHERE user_id = ?`,
    ),
    pruneUpdates: connection.prepare<[UserId, UserId, number]>(
      `DELETE FROM remote_device_list_updates WHERE user_id = ? AND stream_id <= (
         SELECT stream_id FROM remote_device_list_updates WHERE user_id = ? ORDER BY stream_id DESC LIMIT 1 OFFSET ?
       )`,
    ),
  };
}

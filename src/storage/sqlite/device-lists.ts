import type { DeviceId, UserId } from '../../matrix/ids.ts';
import type { DeviceListChangeRow, DeviceListReads, DeviceListTableRow } from '../contract/device-lists.ts';
import type { Position } from '../contract/numbers.ts';
import type { Connection } from './core/database.ts';
import type { Turn } from './core/turn.ts';
import { positionOf, type Step, type Writes } from './core/writes.ts';

type LocalReads = Pick<DeviceListReads, 'listChanged' | 'findStream'>;
type LocalKind = Extract<DeviceListTableRow['kind'], 'device_list_change' | 'device_list_stream'>;

/** Whose devices changed, and what other servers were told of ours. */
export function createDeviceListReads(connection: Connection, turn: Turn): LocalReads {
  const changed = connection
    .prepare<[Position, Position, UserId], UserId>(
      `SELECT DISTINCT user_id FROM device_list_changes
       WHERE position > ? AND position <= ? AND viewer_id IN ('', ?)`,
    )
    .pluck();
  const stream = connection.prepare<[UserId], { streamId: number; broadcastId: number | null }>(
    'SELECT stream_id AS streamId, broadcast_id AS broadcastId FROM device_list_streams WHERE user_id = ?',
  );
  return {
    listChanged: (viewer, after, upTo) => turn.read(() => changed.all(after, upTo, viewer)),
    findStream: (userId) => turn.read(() => stream.get(userId)),
  };
}

/** How a change is written down and told. */
export interface DeviceListMarks {
  /** The step has a position. */
  add(change: DeviceListChangeRow, step: Step): void;
}

export function createDeviceListMarks(connection: Connection): DeviceListMarks {
  const put = connection.prepare<[UserId, string, Position]>(
    'INSERT OR REPLACE INTO device_list_changes (user_id, viewer_id, position) VALUES (?, ?, ?)',
  );
  const haveKeys = connection.prepare<[string, UserId]>(
    'SELECT 1 FROM json_each(?) CROSS JOIN device_keys ON user_id = ? AND device_id = value LIMIT 1',
  );
  const has = (userId: UserId, deviceIds: readonly DeviceId[]): boolean =>
    haveKeys.get(JSON.stringify(deviceIds), userId) !== undefined;
  return {
    add({ userId, viewer, told, deviceIds, signingKeys }, step) {
      const position = positionOf(step);
      const here = told === 'always' || signingKeys || has(userId, deviceIds);
      if (here) put.run(userId, viewer ?? '', position);
      step.change({ kind: 'device_list', position, userId, viewer, here, deviceIds, signingKeys });
    },
  };
}

export function createDeviceListWrites(connection: Connection, marks: DeviceListMarks): Writes<LocalKind> {
  const putStream = connection.prepare<[UserId, number, number | null]>(
    'INSERT OR REPLACE INTO device_list_streams (user_id, stream_id, broadcast_id) VALUES (?, ?, ?)',
  );
  return {
    device_list_change({ kind: _, ...change }, step) {
      marks.add(change, step);
    },
    device_list_stream({ userId, streamId, broadcastId }) {
      putStream.run(userId, streamId, broadcastId);
    },
  };
}

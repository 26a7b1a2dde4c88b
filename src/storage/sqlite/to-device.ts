import type { DeviceId, UserId } from '../../matrix/ids.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import type { Position } from '../contract/numbers.ts';
import { type DeviceName, inboxMessagesMax, type ToDeviceReads, type ToDeviceTableRow } from '../contract/to-device.ts';
import type { Connection } from './core/database.ts';
import type { Turn } from './core/turn.ts';
import { positionOf, type Writes } from './core/writes.ts';
import { type DeviceLeftovers, messagesBefore } from './device-leftovers.ts';

const keepReceivedMs = 30 * 24 * 60 * 60 * 1000;
/** Old names that each new one removes: more than one, so that the table shrinks. */
const pruneMax = 20;
/** Collected messages that go at once; more than one `/sync` tells. */
const collectMax = 200;

interface Put {
  userId: UserId;
  deviceId: DeviceId | null;
  position: Position;
  text: string;
}

export function createToDeviceReads(connection: Connection, turn: Turn): ToDeviceReads {
  const messages = connection.prepare<
    [UserId, DeviceId, Position, Position, number],
    { position: Position; text: string }
  >(
    `SELECT position, event AS text FROM to_device_messages m
     WHERE user_id = ? AND device_id = ? AND position > ? AND position <= ?
       AND position >= ${messagesBefore('m.user_id', 'm.device_id')}
     ORDER BY position LIMIT ?`,
  );
  const received = connection
    .prepare<[string, ServerName], string>(
      `SELECT r.message_id FROM json_each(?) CROSS JOIN received_to_device r ON r.origin = ? AND r.message_id = value`,
    )
    .pluck();

  return {
    listMessages: ({ userId, deviceId }, { after, upTo, limit }) =>
      turn.read(() => messages.all(userId, deviceId, after, upTo, limit)),
    listReceived: (origin, messageIds) =>
      turn.read(() => new Set(received.all(JSON.stringify([...new Set(messageIds)]), origin))),
  };
}

export interface ToDeviceWrites {
  readonly rows: Writes<ToDeviceTableRow['kind']>;
  /** The device has all up to there. */
  collect(device: DeviceName, upTo: Position): void;
}

export function createToDeviceWrites(connection: Connection, leftovers: DeviceLeftovers): ToDeviceWrites {
  // Read and written in one statement: who has no such device, or has it no more, gets nothing.
  const put = (devices: string) =>
    connection.prepare<[Put], { deviceId: DeviceId; place: number }>(
      `INSERT INTO to_device_messages (user_id, device_id, position, place, event)
       SELECT d.user_id, d.device_id, @position, 1 + coalesce((
           SELECT m.place FROM to_device_messages m
           WHERE m.user_id = d.user_id AND m.device_id = d.device_id ORDER BY m.position DESC LIMIT 1
         ), 0), @text
       FROM devices d WHERE d.user_id = @userId AND ${devices}
       RETURNING device_id AS deviceId, place`,
    );
  const putToOne = put('d.device_id = @deviceId');
  const putToAll = put('@deviceId IS NULL');
  // Two at a time, so that an inbox that is too long gets shorter.
  const trim = connection.prepare<[UserId, DeviceId, UserId, DeviceId, number]>(
    `DELETE FROM to_device_messages WHERE user_id = ? AND device_id = ? AND position IN (
       SELECT position FROM (
         SELECT position, place FROM to_device_messages WHERE user_id = ? AND device_id = ? ORDER BY position LIMIT 2
       ) WHERE place <= ?
     )`,
  );
  const remove = connection.prepare<[{ userId: UserId; deviceId: DeviceId; upTo: Position; limit: number }]>(
    `DELETE FROM to_device_messages WHERE user_id = @userId AND device_id = @deviceId AND position IN (
       SELECT position FROM to_device_messages
       WHERE user_id = @userId AND device_id = @deviceId AND position <= @upTo ORDER BY position LIMIT @limit
     )`,
  );
  const putReceived = connection.prepare<[ServerName, string, number]>(
    'INSERT OR REPLACE INTO received_to_device (origin, message_id, received_at_ms) VALUES (?, ?, ?)',
  );
  const prune = connection.prepare<[number, number]>(
    `DELETE FROM received_to_device WHERE rowid IN (
       SELECT rowid FROM received_to_device WHERE received_at_ms < ? ORDER BY received_at_ms LIMIT ?
     )`,
  );

  const collect: ToDeviceWrites['collect'] = ({ userId, deviceId }, upTo) => {
    const { changes } = remove.run({ userId, deviceId, upTo, limit: collectMax });
    if (changes === collectMax) leftovers.ofMessages(userId, deviceId, upTo + 1);
  };
  const rows: Writes<ToDeviceTableRow['kind']> = {
    to_device({ messages }, step) {
      const position = positionOf(step);
      const devices: DeviceName[] = [];
      for (const { userId, deviceId, text } of messages) {
        const statement = deviceId === null ? putToAll : putToOne;
        for (const reached of statement.all({ userId, deviceId, position, text })) {
          devices.push({ userId, deviceId: reached.deviceId });
          const excess = reached.place - inboxMessagesMax;
          if (excess > 0) trim.run(userId, reached.deviceId, userId, reached.deviceId, excess);
        }
      }
      if (devices.length > 0) step.change({ kind: 'to_device', position, devices });
    },
    to_device_collected({ userId, deviceId, upTo }) {
      collect({ userId, deviceId }, upTo);
    },
    to_device_received({ origin, messageId, receivedAtMs }, step) {
      putReceived.run(origin, messageId, receivedAtMs);
      prune.run(step.nowMs - keepReceivedMs, pruneMax);
    },
  };
  return { rows, collect };
}

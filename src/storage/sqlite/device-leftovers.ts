import type { DeviceId, UserId } from '../../matrix/ids.ts';
import type { Position } from '../contract/numbers.ts';
import type { Connection } from './core/database.ts';
import type { Leftovers } from './core/leftovers.ts';

/** Rows that are deleted at a time. */
const removedAtOnce = 200;

/** SQL: messages to the device `user`, `device` below this position are gone. */
export function messagesBefore(user: string, device: string): string {
  return `coalesce((SELECT l.messages_before FROM device_leftovers l WHERE l.user_id = ${user} AND l.device_id = ${device}), 0)`;
}

/** SQL: so are its transactions that were written behind a lower one. */
export function transactionsBefore(user: string, device: string): string {
  return `coalesce((SELECT l.transactions_before FROM device_leftovers l WHERE l.user_id = ${user} AND l.device_id = ${device}), 0)`;
}

/** What waits for devices and what they sent, when it goes. Readers find nothing of it any more; it is deleted later. */
export interface DeviceLeftovers {
  /** The device is removed under this position. */
  ofDevice(userId: UserId, deviceId: DeviceId, position: Position): void;
  /** The messages with lower positions. */
  ofMessages(userId: UserId, deviceId: DeviceId, before: Position): void;
}

interface Left {
  userId: UserId;
  deviceId: DeviceId;
  messagesBefore: Position;
  transactionsBefore: Position;
}

export function createDeviceLeftovers(connection: Connection, leftovers: Leftovers): DeviceLeftovers {
  const hasMessages = connection.prepare<[UserId, DeviceId]>(
    'SELECT 1 FROM to_device_messages WHERE user_id = ? AND device_id = ? LIMIT 1',
  );
  const hasTransactions = connection.prepare<[UserId, DeviceId]>(
    'SELECT 1 FROM client_transactions WHERE user_id = ? AND device_id = ? LIMIT 1',
  );
  const put = connection.prepare<[Left]>(
    `INSERT INTO device_leftovers (user_id, device_id, messages_before, transactions_before)
     VALUES (@userId, @deviceId, @messagesBefore, @transactionsBefore)
     ON CONFLICT DO UPDATE SET messages_before = max(messages_before, excluded.messages_before),
       transactions_before = max(transactions_before, excluded.transactions_before)`,
  );
  const next = connection.prepare<[], Left>(
    `SELECT user_id AS userId, device_id AS deviceId, messages_before AS messagesBefore,
       transactions_before AS transactionsBefore FROM device_leftovers LIMIT 1`,
  );
  const removeMessages = connection.prepare<[Left & { limit: number }]>(
    `DELETE FROM to_device_messages WHERE user_id = @userId AND device_id = @deviceId AND position IN (
       SELECT position FROM to_device_messages
       WHERE user_id = @userId AND device_id = @deviceId AND position < @messagesBefore ORDER BY position LIMIT @limit
     )`,
  );
  const removeTransactions = connection.prepare<[Left & { limit: number }]>(
    `DELETE FROM client_transactions WHERE rowid IN (
       SELECT rowid FROM client_transactions
       WHERE user_id = @userId AND device_id = @deviceId AND written_behind < @transactionsBefore LIMIT @limit
     )`,
  );
  const forget = connection.prepare<[UserId, DeviceId]>(
    'DELETE FROM device_leftovers WHERE user_id = ? AND device_id = ?',
  );
  leftovers.add(() => {
    const left = next.get();
    if (left === undefined) return 0;
    const some = { ...left, limit: removedAtOnce };
    const removed = removeMessages.run(some).changes + removeTransactions.run(some).changes;
    if (removed > 0) return removed;
    return forget.run(left.userId, left.deviceId).changes;
  });

  const add = (left: Left): void => {
    put.run(left);
    leftovers.expect();
  };
  return {
    ofDevice(userId, deviceId, position) {
      if (hasMessages.get(userId, deviceId) === undefined && hasTransactions.get(userId, deviceId) === undefined)
        return;
      add({ userId, deviceId, messagesBefore: position, transactionsBefore: position });
    },
    ofMessages(userId, deviceId, before) {
      add({ userId, deviceId, messagesBefore: before, transactionsBefore: 0 });
    },
  };
}

import { assertNever } from '../../base/assert.ts';
import type { EventId, RoomId } from '../../matrix/ids.ts';
import type { Expectation } from '../contract/commit.ts';
import type { Position } from '../contract/numbers.ts';
import type { Connection } from './core/database.ts';
import type { Numbering } from './core/numbering.ts';
import { transactionsBefore } from './device-leftovers.ts';

interface Deps {
  connection: Connection;
  rooms: Numbering<RoomId>;
}

/** Whether what a batch was decided on still holds. Runs inside the transaction, before the batch's first row. */
export function createExpectations({ connection, rooms }: Deps): (expectation: Expectation) => boolean {
  const account = connection.prepare<[string]>('SELECT 1 FROM accounts WHERE user_id = ?');
  const accessToken = connection.prepare<[string]>('SELECT 1 FROM access_tokens WHERE token_hash = ?');
  const refreshToken = connection.prepare<[string]>('SELECT 1 FROM refresh_tokens WHERE token_hash = ?');
  const alias = connection.prepare<[string]>('SELECT 1 FROM aliases WHERE alias = ?');
  const room = connection.prepare<[string]>('SELECT 1 FROM rooms WHERE room_id = ? AND version IS NOT NULL');
  const extremities = connection
    .prepare<[number], EventId>(
      'SELECT i.event_id FROM forward_extremities f JOIN event_ids i ON i.event_no = f.event_no WHERE f.room_no = ?',
    )
    .pluck();
  const anyEvent = connection.prepare<[string]>(
    `SELECT 1 FROM json_each(?) CROSS JOIN event_ids i ON i.event_id = value JOIN events e ON e.event_no = i.event_no
     LIMIT 1`,
  );
  const awaitedMedia = connection.prepare<[string, string]>(
    'SELECT 1 FROM media WHERE server = ? AND media_id = ? AND hash IS NULL',
  );
  const transaction = connection.prepare<[string, string, string, string]>(
    `SELECT 1 FROM client_transactions t
     WHERE user_id = ? AND device_id = ? AND scope = ? AND transaction_id = ?
       AND written_behind >= ${transactionsBefore('t.user_id', 't.device_id')}`,
  );
  const backupEtag = connection
    .prepare<[string, number], number>('SELECT etag FROM key_backups WHERE user_id = ? AND version = ? AND removed = 0')
    .pluck();
  const lastBackup = connection
    .prepare<[string], number | null>('SELECT max(version) FROM key_backups WHERE user_id = ?')
    .pluck();
  const received = connection.prepare<[string, string]>(
    'SELECT 1 FROM received_to_device WHERE origin = ? AND message_id = ?',
  );
  const revision = connection
    .prepare<[string, string, string], Position>(
      'SELECT position FROM account_data WHERE user_id = ? AND room_id = ? AND type = ?',
    )
    .pluck();

  const device = connection.prepare<[string, string]>('SELECT 1 FROM devices WHERE user_id = ? AND device_id = ?');
  const unclaimed = connection
    .prepare<[string], number>(
      'SELECT count(*) FROM json_each(?) CROSS JOIN one_time_keys ON key_no = value WHERE claimed_at_ms IS NULL',
    )
    .pluck();
  const listChanged = connection
    .prepare<[string, string], Position>('SELECT position FROM device_list_changes WHERE user_id = ? AND viewer_id = ?')
    .pluck();

  const extremitiesAre = (roomId: RoomId, eventIds: readonly string[]): boolean => {
    const stored = extremities.all(rooms.find(roomId) ?? 0);
    const expected = new Set(eventIds);
    return stored.length === expected.size && stored.every((eventId) => expected.has(eventId));
  };

  return (expectation) => {
    switch (expectation.kind) {
      case 'account_unused':
        return account.get(expectation.userId) === undefined;
      case 'access_token_known':
        return accessToken.get(expectation.tokenHash) !== undefined;
      case 'refresh_token_known':
        return refreshToken.get(expectation.tokenHash) !== undefined;
      case 'alias_unused':
        return alias.get(expectation.alias) === undefined;
      case 'room_unknown':
        return room.get(expectation.roomId) === undefined;
      case 'extremities':
        return extremitiesAre(expectation.roomId, expectation.eventIds);
      case 'events_unknown':
        return anyEvent.get(JSON.stringify(expectation.eventIds)) === undefined;
      case 'media_awaited':
        return awaitedMedia.get(expectation.address.server, expectation.address.mediaId) !== undefined;
      case 'client_transaction_unused': {
        const { userId, deviceId, scope, transactionId } = expectation;
        return transaction.get(userId, deviceId, scope, transactionId) === undefined;
      }
      case 'key_backup_revision':
        return backupEtag.get(expectation.userId, expectation.version) === expectation.etag;
      case 'key_backup_last':
        return (lastBackup.get(expectation.userId) ?? 0) === expectation.version;
      case 'to_device_unseen':
        return received.get(expectation.origin, expectation.messageId) === undefined;
      case 'device_known':
        return device.get(expectation.userId, expectation.deviceId) !== undefined;
      case 'one_time_keys_unclaimed':
        return unclaimed.get(JSON.stringify(expectation.keyNos)) === expectation.keyNos.length;
      case 'device_list_unchanged':
        return (listChanged.get(expectation.userId, '') ?? 0) <= expectation.since;
      case 'account_data_revision': {
        const { userId, roomId, type, position } = expectation;
        return (revision.get(userId, roomId ?? '', type) ?? null) === position;
      }
      default:
        return assertNever(expectation);
    }
  };
}

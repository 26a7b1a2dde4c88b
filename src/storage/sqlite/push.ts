import type { UserId } from '../../matrix/ids.ts';
import type { JsonObject } from '../../matrix/pdu.ts';
import type { Position } from '../contract/numbers.ts';
import type { PusherKey, PusherProgress, PusherRow, PushReads, PushTableRow } from '../contract/push.ts';
import type { Connection } from './core/database.ts';
import type { Turn } from './core/turn.ts';
import type { Writes } from './core/writes.ts';

type Stored = Omit<PusherRow, 'data'> & { data: string };

const columns = `user_id AS userId, app_id AS appId, pushkey, device_id AS deviceId, kind,
  app_display_name AS appDisplayName, device_display_name AS deviceDisplayName, profile_tag AS profileTag, lang, data,
  created_at_ms AS createdAtMs`;

export function createPushReads(connection: Connection, turn: Turn): PushReads {
  const pushers = connection.prepare<[UserId], Stored & PusherProgress>(
    `SELECT ${columns}, told_up_to AS toldUpTo, failing_since_ms AS failingSinceMs
     FROM pushers WHERE user_id = ? ORDER BY app_id, pushkey`,
  );
  const owners = connection
    .prepare<[string, number], UserId>(
      'SELECT DISTINCT user_id FROM pushers WHERE user_id > ? ORDER BY user_id LIMIT ?',
    )
    .pluck();
  return {
    listPushers: (userId) =>
      turn.read(() =>
        pushers.all(userId).map((record) => {
          const data: JsonObject = JSON.parse(record.data);
          return { ...record, data };
        }),
      ),
    listOwners: (after, limit) => turn.read(() => owners.all(after ?? '', limit)),
  };
}

export function createPushWrites(connection: Connection): Writes<PushTableRow['kind']> {
  const put = connection.prepare<[Stored & { toldUpTo: Position }]>(
    `INSERT INTO pushers (user_id, app_id, pushkey, device_id, kind, app_display_name, device_display_name,
       profile_tag, lang, data, created_at_ms, told_up_to)
     VALUES (@userId, @appId, @pushkey, @deviceId, @kind, @appDisplayName, @deviceDisplayName, @profileTag, @lang, @data,
       @createdAtMs, @toldUpTo)
     ON CONFLICT DO UPDATE SET device_id = excluded.device_id, kind = excluded.kind,
       app_display_name = excluded.app_display_name, device_display_name = excluded.device_display_name,
       profile_tag = excluded.profile_tag, lang = excluded.lang, data = excluded.data,
       created_at_ms = excluded.created_at_ms`,
  );
  const progress = connection.prepare<[PusherKey & PusherProgress]>(
    `UPDATE pushers SET told_up_to = @toldUpTo, failing_since_ms = @failingSinceMs
     WHERE user_id = @userId AND app_id = @appId AND pushkey = @pushkey`,
  );
  const remove = connection.prepare<[UserId, string, string]>(
    'DELETE FROM pushers WHERE user_id = ? AND app_id = ? AND pushkey = ?',
  );
  const removeOthers = connection
    .prepare<[string, string, UserId], UserId>(
      'DELETE FROM pushers WHERE app_id = ? AND pushkey = ? AND user_id <> ? RETURNING user_id',
    )
    .pluck();
  return {
    pusher({ pusher }, step) {
      put.run({ ...pusher, data: JSON.stringify(pusher.data), toldUpTo: step.positionBefore });
      step.change({ kind: 'pushers', userId: pusher.userId });
    },
    pusher_removed({ userId, appId, pushkey }, step) {
      remove.run(userId, appId, pushkey);
      step.change({ kind: 'pushers', userId });
    },
    pushers_of_others_removed({ userId, appId, pushkey }, step) {
      for (const other of removeOthers.all(appId, pushkey, userId)) step.change({ kind: 'pushers', userId: other });
    },
    pusher_progress(row) {
      progress.run(row);
    },
  };
}

import type { UserId } from '../../matrix/ids.ts';
import type { JsonObject } from '../../matrix/pdu.ts';
import type { PusherRow, PushReads, PushTableRow } from '../contract/push.ts';
import type { Connection } from './core/database.ts';
import type { Turn } from './core/turn.ts';
import type { Writes } from './core/writes.ts';

type Stored = Omit<PusherRow, 'data'> & { data: string };

const columns = `user_id AS userId, app_id AS appId, pushkey, device_id AS deviceId, kind,
  app_display_name AS appDisplayName, device_display_name AS deviceDisplayName, profile_tag AS profileTag, lang, data,
  created_at_ms AS createdAtMs`;

export function createPushReads(connection: Connection, turn: Turn): PushReads {
  const pushers = connection.prepare<[UserId], Stored>(
    `SELECT ${columns} FROM pushers WHERE user_id = ? ORDER BY app_id, pushkey`,
  );
  return {
    listPushers: (userId) =>
      turn.read(() =>
        pushers.all(userId).map((record): PusherRow => {
          const data: JsonObject = JSON.parse(record.data);
          return { ...record, data };
        }),
      ),
  };
}

export function createPushWrites(connection: Connection): Writes<PushTableRow['kind']> {
  const put = connection.prepare<[Stored]>(
    `INSERT OR REPLACE INTO pushers (user_id, app_id, pushkey, device_id, kind, app_display_name, device_display_name,
       profile_tag, lang, data, created_at_ms)
     VALUES (@userId, @appId, @pushkey, @deviceId, @kind, @appDisplayName, @deviceDisplayName, @profileTag, @lang, @data,
       @createdAtMs)`,
  );
  const remove = connection.prepare<[UserId, string, string]>(
    'DELETE FROM pushers WHERE user_id = ? AND app_id = ? AND pushkey = ?',
  );
  const removeOthers = connection.prepare<[string, string, UserId]>(
    'DELETE FROM pushers WHERE app_id = ? AND pushkey = ? AND user_id <> ?',
  );
  return {
    pusher({ pusher }) {
      put.run({ ...pusher, data: JSON.stringify(pusher.data) });
    },
    pusher_removed({ userId, appId, pushkey }) {
      remove.run(userId, appId, pushkey);
    },
    pushers_of_others_removed({ userId, appId, pushkey }) {
      removeOthers.run(appId, pushkey, userId);
    },
  };
}

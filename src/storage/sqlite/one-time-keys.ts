import type { DeviceId, UserId } from '../../matrix/ids.ts';
import type {
  OneTimeKeyReads,
  OneTimeKeyTableRow,
  StoredFallbackKey,
  StoredOneTimeKey,
  UploadedKey,
} from '../contract/one-time-keys.ts';
import type { Connection } from './core/database.ts';
import type { Turn } from './core/turn.ts';
import { positionOf, type Step, type Writes } from './core/writes.ts';

/** How long it is remembered that a key was given out: longer than any client goes on repeating an upload. */
const claimedKeptMs = 7 * 24 * 3_600_000;

type Place = { place: number };

export function createOneTimeKeyReads(connection: Connection, turn: Turn): OneTimeKeyReads {
  // Null instead of a number: an unused fallback key.
  const counts = connection.prepare<
    { userId: UserId; deviceId: DeviceId },
    { algorithm: string; count: number | null }
  >(
    `SELECT algorithm, count(*) AS count FROM one_time_keys
     WHERE user_id = @userId AND device_id = @deviceId AND claimed_at_ms IS NULL GROUP BY algorithm
     UNION ALL
     SELECT algorithm, NULL FROM fallback_keys WHERE user_id = @userId AND device_id = @deviceId AND used = 0`,
  );
  const byIds = connection.prepare<[string, UserId, DeviceId], UploadedKey>(
    `SELECT k.algorithm, k.key_id AS keyId, k.key
     FROM json_each(?) CROSS JOIN one_time_keys k ON k.user_id = ? AND k.device_id = ?
       AND k.algorithm = value ->> 0 AND k.key_id = value ->> 1
     WHERE k.claimed_at_ms IS NULL`,
  );
  const next = connection.prepare<{ wishes: string; limit: number }, StoredOneTimeKey & Place>(
    `SELECT w.key AS place, k.key_no AS keyNo, k.algorithm, k.key_id AS keyId, k.key
     FROM json_each(@wishes) w CROSS JOIN one_time_keys k ON k.key_no IN (
       SELECT o.key_no FROM one_time_keys o
       WHERE o.user_id = w.value ->> 'userId' AND o.device_id = w.value ->> 'deviceId'
         AND o.algorithm = w.value ->> 'algorithm' AND o.claimed_at_ms IS NULL
       ORDER BY o.key_no LIMIT @limit
     )
     ORDER BY w.key, k.key_no`,
  );
  const fallbacks = connection.prepare<[string], UploadedKey & Place & { used: 0 | 1 }>(
    `SELECT w.key AS place, f.algorithm, f.key_id AS keyId, f.key, f.used
     FROM json_each(?) w CROSS JOIN fallback_keys f ON f.user_id = w.value ->> 'userId'
       AND f.device_id = w.value ->> 'deviceId' AND f.algorithm = w.value ->> 'algorithm'`,
  );

  return {
    countKeys: (userId, deviceId) =>
      turn.read(() => {
        const oneTimeKeys: [string, number][] = [];
        const unusedFallbackTypes: string[] = [];
        for (const { algorithm, count } of counts.all({ userId, deviceId }))
          if (count === null) unusedFallbackTypes.push(algorithm);
          else oneTimeKeys.push([algorithm, count]);
        return { oneTimeKeys: Object.fromEntries(oneTimeKeys), unusedFallbackTypes: unusedFallbackTypes.sort() };
      }),
    listUnclaimed: (userId, deviceId, ids) =>
      turn.read(() => byIds.all(JSON.stringify(ids.map(splitId)), userId, deviceId)),
    listNext: (wishes, limit) =>
      turn.read(() => {
        const found: StoredOneTimeKey[][] = wishes.map(() => []);
        for (const { place, ...key } of next.all({ wishes: JSON.stringify(wishes), limit })) found[place]?.push(key);
        return found;
      }),
    listFallbacks: (wishes) =>
      turn.read(() => {
        const found: (StoredFallbackKey | undefined)[] = wishes.map(() => undefined);
        for (const { place, used, ...key } of fallbacks.all(JSON.stringify(wishes)))
          found[place] = { ...key, used: used === 1 };
        return found;
      }),
  };
}

function splitId(id: string): [algorithm: string, keyId: string] {
  const colon = id.indexOf(':');
  return [id.slice(0, colon), id.slice(colon + 1)];
}

export function createOneTimeKeyWrites(connection: Connection): Writes<OneTimeKeyTableRow['kind']> {
  const dropOther = connection.prepare<[UserId, DeviceId, string, string, string]>(
    `DELETE FROM one_time_keys WHERE user_id = ? AND device_id = ? AND algorithm = ? AND key_id = ?
       AND claimed_at_ms IS NOT NULL AND key <> ?`,
  );
  const add = connection.prepare<[UserId, DeviceId, string, string, string]>(
    `INSERT INTO one_time_keys (user_id, device_id, algorithm, key_id, key) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT DO NOTHING`,
  );
  const forgetClaimed = connection.prepare<[UserId, DeviceId, number]>(
    'DELETE FROM one_time_keys WHERE user_id = ? AND device_id = ? AND claimed_at_ms < ?',
  );
  const claim = connection.prepare<[number, string]>(
    'UPDATE one_time_keys SET claimed_at_ms = ? WHERE key_no IN (SELECT value FROM json_each(?))',
  );
  const putFallback = connection.prepare<[UserId, DeviceId, string, string, string]>(
    `INSERT INTO fallback_keys (user_id, device_id, algorithm, key_id, key) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET key_id = excluded.key_id, key = excluded.key, used = 0
       WHERE key_id <> excluded.key_id OR key <> excluded.key`,
  );
  const useFallback = connection.prepare<[UserId, DeviceId, string]>(
    'UPDATE fallback_keys SET used = 1 WHERE user_id = ? AND device_id = ? AND algorithm = ?',
  );
  const remove = ['one_time_keys', 'fallback_keys'].map((table) =>
    connection.prepare<[UserId, DeviceId]>(`DELETE FROM ${table} WHERE user_id = ? AND device_id = ?`),
  );
  const tell = ({ userId, deviceId }: { userId: UserId; deviceId: DeviceId }, step: Step): void =>
    step.change({ kind: 'key_counts', position: positionOf(step), userId, deviceId });

  return {
    one_time_keys(row, step) {
      const { userId, deviceId } = row;
      forgetClaimed.run(userId, deviceId, step.nowMs - claimedKeptMs);
      for (const { algorithm, keyId, key } of row.keys) {
        dropOther.run(userId, deviceId, algorithm, keyId, key);
        add.run(userId, deviceId, algorithm, keyId, key);
      }
      tell(row, step);
    },
    one_time_keys_claimed(row, step) {
      claim.run(step.nowMs, JSON.stringify(row.keyNos));
      tell(row, step);
    },
    fallback_keys(row, step) {
      for (const { algorithm, keyId, key } of row.keys)
        putFallback.run(row.userId, row.deviceId, algorithm, keyId, key);
      tell(row, step);
    },
    fallback_key_used(row, step) {
      useFallback.run(row.userId, row.deviceId, row.algorithm);
      tell(row, step);
    },
    one_time_keys_removed(row, step) {
      for (const statement of remove) statement.run(row.userId, row.deviceId);
      tell(row, step);
    },
  };
}

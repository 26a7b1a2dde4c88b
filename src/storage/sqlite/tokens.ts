import type { DeviceId, UserId } from '../../matrix/ids.ts';
import type {
  AccessTokenRow,
  AccountReads,
  AccountTableRow,
  RefreshTokenRow,
  Succession,
} from '../contract/accounts.ts';
import type { Connection } from './core/database.ts';
import type { Turn } from './core/turn.ts';
import type { Writes } from './core/writes.ts';

const columns = `token_hash AS tokenHash, user_id AS userId, device_id AS deviceId, generation,
  created_at_ms AS createdAtMs, expires_at_ms AS expiresAtMs`;

type TokenReads = Pick<AccountReads, 'findAccessToken' | 'findRefreshToken'>;

export function createTokenReads(connection: Connection, turn: Turn): TokenReads {
  const accessToken = connection.prepare<[string], AccessTokenRow & { older: 0 | 1 }>(
    `SELECT ${columns}, EXISTS (
       SELECT 1 FROM refresh_tokens o
       WHERE o.user_id = t.user_id AND o.device_id = t.device_id AND o.generation < t.generation
     ) AS older
     FROM access_tokens t WHERE token_hash = ?`,
  );
  const refreshToken = connection.prepare<[string], RefreshTokenRow>(
    `SELECT ${columns} FROM refresh_tokens WHERE token_hash = ?`,
  );

  return {
    findAccessToken: (tokenHash) =>
      turn.read((): (AccessTokenRow & Succession) | undefined => {
        const found = accessToken.get(tokenHash);
        if (found === undefined) return undefined;
        const { older, ...row } = found;
        return { ...row, supersedesOlder: older === 1 };
      }),
    findRefreshToken: (tokenHash) => turn.read(() => refreshToken.get(tokenHash)),
  };
}

/** Removes every token, those for refreshing too. */
export interface TokenRemoval {
  ofDevice(userId: UserId, deviceId: DeviceId): void;
  ofUser(userId: UserId): void;
}

const tables = ['access_tokens', 'refresh_tokens'] as const;

export function createTokenRemoval(connection: Connection): TokenRemoval {
  const ofDevice = tables.map((table) =>
    connection.prepare<[UserId, DeviceId]>(`DELETE FROM ${table} WHERE user_id = ? AND device_id = ?`),
  );
  const ofUser = tables.map((table) => connection.prepare<[UserId]>(`DELETE FROM ${table} WHERE user_id = ?`));
  return {
    ofDevice(userId, deviceId) {
      for (const statement of ofDevice) statement.run(userId, deviceId);
    },
    ofUser(userId) {
      for (const statement of ofUser) statement.run(userId);
    },
  };
}

type TokenKind = Extract<
  AccountTableRow['kind'],
  'access_token' | 'refresh_token' | 'access_tokens_removed' | 'tokens_superseded'
>;

export function createTokenWrites(connection: Connection, removal: TokenRemoval): Writes<TokenKind> {
  const put = (table: (typeof tables)[number]) =>
    connection.prepare<[AccessTokenRow]>(
      `INSERT INTO ${table} (token_hash, user_id, device_id, generation, created_at_ms, expires_at_ms)
       VALUES (@tokenHash, @userId, @deviceId, @generation, @createdAtMs, @expiresAtMs)`,
    );
  const putAccessToken = put('access_tokens');
  const putRefreshToken = put('refresh_tokens');
  const removeOthers = tables.map((table) =>
    connection.prepare<[UserId, DeviceId, number]>(
      `DELETE FROM ${table} WHERE user_id = ? AND device_id = ? AND generation <> ?`,
    ),
  );

  return {
    access_token(row) {
      putAccessToken.run(row);
    },
    refresh_token(row) {
      putRefreshToken.run(row);
    },
    access_tokens_removed({ userId, deviceId }, step) {
      if (deviceId === null) removal.ofUser(userId);
      else removal.ofDevice(userId, deviceId);
      step.change({ kind: 'access_tokens_removed', userId, deviceId });
    },
    tokens_superseded({ userId, deviceId, generation }, step) {
      for (const statement of removeOthers) statement.run(userId, deviceId, generation);
      step.change({ kind: 'tokens_superseded', userId, deviceId, generation });
    },
  };
}

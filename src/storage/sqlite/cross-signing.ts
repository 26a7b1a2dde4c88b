import type { UserId } from '../../matrix/ids.ts';
import type {
  CrossSigningKeyRow,
  CrossSigningReads,
  CrossSigningTableRow,
  CrossSigningUsage,
  KeySignatureRow,
} from '../contract/cross-signing.ts';
import type { Connection } from './core/database.ts';
import type { Turn } from './core/turn.ts';
import type { Writes } from './core/writes.ts';
import { parseObject } from './device-keys.ts';

export function createCrossSigningReads(connection: Connection, turn: Turn): CrossSigningReads {
  const keys = connection.prepare<[string], Omit<CrossSigningKeyRow, 'key'> & { key: string }>(
    `SELECT user_id AS userId, usage, public_key AS publicKey, cross_signing_keys.key
     FROM json_each(?) CROSS JOIN cross_signing_keys ON user_id = value ORDER BY user_id, usage`,
  );
  const signatures = connection.prepare<[string, UserId | null], KeySignatureRow>(
    `SELECT target_user_id AS targetUserId, target, signer_user_id AS signerUserId, signer_key_id AS signerKeyId, signature
     FROM json_each(?) CROSS JOIN key_signatures ON target_user_id = value AND signer_user_id IN (value, ?)`,
  );
  return {
    listCrossSigningKeys: (userIds) =>
      turn.read(() => keys.all(encodeIds(userIds)).map((row) => ({ ...row, key: parseObject(row.key) }))),
    listKeySignatures: (targetUserIds, viewer) => turn.read(() => signatures.all(encodeIds(targetUserIds), viewer)),
  };
}

function encodeIds(userIds: readonly UserId[]): string {
  return JSON.stringify([...new Set(userIds)]);
}

export function createCrossSigningWrites(connection: Connection): Writes<CrossSigningTableRow['kind']> {
  const dropSignatures = connection.prepare<[UserId, UserId, CrossSigningUsage, string]>(
    `DELETE FROM key_signatures WHERE target_user_id = ? AND target IN (
       SELECT public_key FROM cross_signing_keys WHERE user_id = ? AND usage = ? AND public_key <> ?
     )`,
  );
  const put = connection.prepare<[UserId, CrossSigningUsage, string, string]>(
    'INSERT OR REPLACE INTO cross_signing_keys (user_id, usage, public_key, key) VALUES (?, ?, ?, ?)',
  );
  const remove = connection.prepare<[UserId, CrossSigningUsage]>(
    'DELETE FROM cross_signing_keys WHERE user_id = ? AND usage = ?',
  );
  const sign = connection.prepare<[KeySignatureRow]>(
    `INSERT OR REPLACE INTO key_signatures (target_user_id, target, signer_user_id, signer_key_id, signature)
     VALUES (@targetUserId, @target, @signerUserId, @signerKeyId, @signature)`,
  );
  return {
    cross_signing_key({ userId, usage, publicKey, key }) {
      dropSignatures.run(userId, userId, usage, publicKey);
      put.run(userId, usage, publicKey, JSON.stringify(key));
    },
    cross_signing_key_removed({ userId, usage }) {
      dropSignatures.run(userId, userId, usage, '');
      remove.run(userId, usage);
    },
    key_signature({ targetUserId, target, signerUserId, signerKeyId, signature }) {
      sign.run({ targetUserId, target, signerUserId, signerKeyId, signature });
    },
  };
}

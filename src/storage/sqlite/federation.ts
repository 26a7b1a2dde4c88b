import type { JsonObject } from '../../matrix/pdu.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import type { FederationReads, FederationTableRow, PublishedKeys, ServerKeyRow } from '../contract/federation.ts';
import type { Connection } from './core/database.ts';
import type { Turn } from './core/turn.ts';
import type { Writes } from './core/writes.ts';

const keepAnswersMs = 7 * 24 * 60 * 60 * 1000;
/** Old answers that each new one removes: more than one, so that the table shrinks. */
const pruneMax = 20;

export function createFederationReads(connection: Connection, turn: Turn): FederationReads {
  const keys = connection.prepare<[ServerName], ServerKeyRow>(
    `SELECT server, key_id AS keyId, public_key AS publicKey, valid_until_ms AS validUntilMs, fetched_at_ms AS fetchedAtMs
     FROM server_keys WHERE server = ? ORDER BY key_id`,
  );
  const published = connection.prepare<[string], Omit<PublishedKeys, 'answer'> & { answer: string }>(
    `SELECT p.server, p.answer, p.fetched_at_ms AS fetchedAtMs
     FROM json_each(?) CROSS JOIN published_keys p ON p.server = value`,
  );
  const answer = connection
    .prepare<[ServerName, string], string>(
      'SELECT answer FROM received_transactions WHERE origin = ? AND transaction_id = ?',
    )
    .pluck();

  return {
    listServerKeys: (server) => turn.read(() => keys.all(server)),
    listPublishedKeys: (servers) =>
      turn.read(() =>
        published.all(JSON.stringify([...new Set(servers)])).map((row) => ({ ...row, answer: JSON.parse(row.answer) })),
      ),
    findReceivedTransaction: (origin, transactionId) =>
      turn.read((): JsonObject | undefined => {
        const text = answer.get(origin, transactionId);
        return text === undefined ? undefined : JSON.parse(text);
      }),
  };
}

export function createFederationWrites(connection: Connection): Writes<FederationTableRow['kind']> {
  const putKey = connection.prepare<[ServerKeyRow]>(
    `INSERT OR REPLACE INTO server_keys (server, key_id, public_key, valid_until_ms, fetched_at_ms)
     VALUES (@server, @keyId, @publicKey, @validUntilMs, @fetchedAtMs)`,
  );
  const putPublished = connection.prepare<[ServerName, string, number]>(
    'INSERT OR REPLACE INTO published_keys (server, answer, fetched_at_ms) VALUES (?, ?, ?)',
  );
  const putAnswer = connection.prepare<[ServerName, string, string, number]>(
    `INSERT OR REPLACE INTO received_transactions (origin, transaction_id, answer, received_at_ms)
     VALUES (?, ?, ?, ?)`,
  );
  const prune = connection.prepare<[number, number]>(
    `DELETE FROM received_transactions WHERE rowid IN (
       SELECT rowid FROM received_transactions WHERE received_at_ms < ? ORDER BY received_at_ms LIMIT ?
     )`,
  );

  return {
    server_key(row) {
      putKey.run(row);
    },
    published_keys({ server, answer, fetchedAtMs }) {
      putPublished.run(server, JSON.stringify(answer), fetchedAtMs);
    },
    received_transaction({ origin, transactionId, answer, receivedAtMs }, step) {
      putAnswer.run(origin, transactionId, JSON.stringify(answer), receivedAtMs);
      prune.run(step.nowMs - keepAnswersMs, pruneMax);
    },
  };
}

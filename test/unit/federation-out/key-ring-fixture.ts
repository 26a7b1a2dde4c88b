import { silentLog } from '../../../src/base/log.ts';
import { KeyRing } from '../../../src/federation-out/key-ring.ts';
import type { JsonObject } from '../../../src/matrix/pdu.ts';
import type { ServerName } from '../../../src/matrix/server-name.ts';
import { type SigningKey, signingKeyOfSeed } from '../../../src/signing/ed25519.ts';
import { signJson } from '../../../src/signing/sign-json.ts';
import type { Batch, CommitResult, Row } from '../../../src/storage/contract/commit.ts';
import type { ServerKeyRow } from '../../../src/storage/contract/federation.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { unjitteredRandom } from '../../support/random.ts';

export const us = 'us.example' as ServerName;
export const hs = 'hs.example' as ServerName;
export const other = 'other.example' as ServerName;
export const dayMs = 86_400_000;
export const startMs = 1_700_000_000_000;

export const keyOf = (number: number, version = 'a'): SigningKey => signingKeyOfSeed(Buffer.alloc(32, number), version);
export const ourKey = keyOf(1);
/** What we signed with up to `startMs`. */
export const ourOldKey = keyOf(9, 'old');
export const hsKey = keyOf(2);
export const otherKey = keyOf(3);

interface Published {
  key?: SigningKey;
  validUntilMs?: unknown;
  more?: JsonObject;
}

/** What a well-behaved server publishes. */
export function published(
  server: ServerName,
  { key = hsKey, validUntilMs = startMs + dayMs, more = {} }: Published = {},
) {
  const keys: JsonObject = {
    server_name: server,
    verify_keys: { [key.keyId]: { key: key.publicKey } },
    old_verify_keys: {},
    valid_until_ts: validUntilMs,
    ...more,
  };
  return signJson(keys, { server, key });
}

type Answers = Record<string, JsonObject | 'fails' | (() => Promise<JsonObject>)>;

export function ring(answers: Answers = {}, stored: ServerKeyRow[] = [], notaries: readonly ServerKeyRow[] = []) {
  const clock = new ManualClock(startMs);
  const asked: ServerName[] = [];
  const askedNotaries: { server: ServerName; keyIds: string[] }[] = [];
  const written: Row[] = [];
  const storage = {
    federation: { listServerKeys: async (server: ServerName) => stored.filter((row) => row.server === server) },
    commit: async (batch: Batch): Promise<CommitResult> => {
      written.push(...batch.rows);
      return { outcome: 'committed', position: 0, positions: [] };
    },
  };
  const keyRing = new KeyRing({
    serverName: us,
    ownKeys: [{ keyId: ourOldKey.keyId, publicKey: ourOldKey.publicKey, expiredAtMs: startMs }, ourKey],
    async fetchServerKeys(server) {
      asked.push(server);
      const answer = answers[server] ?? 'fails';
      if (answer === 'fails') throw new Error('unreachable');
      return typeof answer === 'function' ? answer() : answer;
    },
    async askNotaries(server, wanted) {
      askedNotaries.push({ server, keyIds: wanted.map(({ keyId }) => keyId) });
      return notaries.filter((row) => row.server === server);
    },
    storage,
    clock,
    random: unjitteredRandom,
    log: silentLog,
  });
  return { clock, asked, askedNotaries, written, answers, keyRing };
}

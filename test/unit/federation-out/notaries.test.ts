import { describe, expect, it } from 'vitest';
import { silentLog } from '../../../src/base/log.ts';
import { createNotaries, type Notary } from '../../../src/federation-out/notaries.ts';
import type { JsonObject } from '../../../src/matrix/pdu.ts';
import type { ServerName } from '../../../src/matrix/server-name.ts';
import { type SigningKey, signingKeyOfSeed } from '../../../src/signing/ed25519.ts';
import { signJson } from '../../../src/signing/sign-json.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const hs = 'hs.example' as ServerName;
const first = 'first.example' as ServerName;
const second = 'second.example' as ServerName;
const startMs = 1_700_000_000_000;
const dayMs = 86_400_000;

const keyOf = (number: number, version: string): SigningKey => signingKeyOfSeed(Buffer.alloc(32, number), version);
const hsKey = keyOf(2, 'a');
const notaryKeys = new Map([
  [first, keyOf(11, 'first')],
  [second, keyOf(12, 'second')],
]);
const keyOfNotary = (server: ServerName): SigningKey => notaryKeys.get(server) ?? keyOf(99, 'nobody');

/** What hs published, with signatures of hs and of those who pass it on. */
function passedOn(by: readonly ServerName[], published: { validUntilMs?: number; more?: JsonObject } = {}): JsonObject {
  const keys: JsonObject = {
    server_name: hs,
    verify_keys: { [hsKey.keyId]: { key: hsKey.publicKey } },
    old_verify_keys: {},
    valid_until_ts: published.validUntilMs ?? startMs + dayMs,
    ...published.more,
  };
  const signed: JsonObject = signJson(keys, { server: hs, key: hsKey });
  return by.reduce<JsonObject>((object, server) => signJson(object, { server, key: keyOfNotary(server) }), signed);
}

const pinned = (server: ServerName): Notary => {
  const { keyId, publicKey } = keyOfNotary(server);
  return { server, keys: new Map([[keyId, publicKey]]) };
};
const unpinned = (server: ServerName): Notary => ({ server, keys: undefined });

function ask(notaries: readonly Notary[], answers: Record<string, readonly unknown[]>) {
  const queries: { notary: ServerName; query: JsonObject }[] = [];
  const askNotaries = createNotaries({
    notaries,
    async queryNotary(notary, query) {
      queries.push({ notary, query });
      const answer = answers[notary];
      if (!answer) throw new Error('unreachable');
      return answer;
    },
    getOwnersKey: async (server, keyId) => {
      const key = keyOfNotary(server);
      return key.keyId === keyId ? key.publicKey : undefined;
    },
    clock: new ManualClock(startMs),
    log: silentLog,
  });
  return { queries, askNotaries };
}

const wanted = [{ keyId: 'ed25519:a', validAtMs: startMs }];
const row = { server: hs, keyId: 'ed25519:a', publicKey: hsKey.publicKey, fetchedAtMs: startMs };

describe('keys from notaries', () => {
  it('are asked for by id and time', async () => {
    const { queries, askNotaries } = ask([pinned(first)], { [first]: [passedOn([first])] });
    const keys = [...wanted, { keyId: 'ed25519:b', validAtMs: 7 }, { keyId: 'ed25519:b', validAtMs: 5 }];
    expect(await askNotaries(hs, keys)).toEqual([{ ...row, validUntilMs: startMs + dayMs }]);
    expect(queries[0]?.query).toEqual({
      server_keys: {
        [hs]: {
          'ed25519:a': { minimum_valid_until_ts: startMs },
          'ed25519:b': { minimum_valid_until_ts: 7 },
        },
      },
    });
  });

  it.each<[string, Notary, readonly unknown[]]>([
    ['the notary did not sign', pinned(first), [passedOn([])]],
    ['another notary signed', pinned(first), [passedOn([second])]],
    [
      'the owner did not sign',
      pinned(first),
      [signJson({ ...passedOn([]), signatures: {} }, { server: first, key: keyOfNotary(first) })],
    ],
    [
      'the notary changed it',
      pinned(first),
      [signJson({ ...passedOn([]), valid_until_ts: startMs + 2 * dayMs }, { server: first, key: keyOfNotary(first) })],
    ],
    [
      'its key is not the one we were told',
      { server: first, keys: new Map([['ed25519:first', hsKey.publicKey]]) },
      [passedOn([first])],
    ],
    ['it publishes another key', unpinned(second), [passedOn([first])]],
    ['it is no object', pinned(first), ['keys', null, 5]],
    ['there is none', pinned(first), []],
  ])('do not count when %s', async (_why, notary, answer) => {
    const { askNotaries } = ask([notary], { [first]: answer, [second]: answer });
    expect(await askNotaries(hs, wanted)).toEqual([]);
  });

  it('count with a signature by what the notary publishes, where we were told no key of it', async () => {
    const { askNotaries } = ask([unpinned(first)], { [first]: [passedOn([first])] });
    expect(await askNotaries(hs, wanted)).toHaveLength(1);
  });

  it('come from the next when one fails or knows too little, and from no further one when all is there', async () => {
    const old = passedOn([first], { validUntilMs: startMs - 1 });
    const good = passedOn([second]);
    const order = async (answers: Record<string, readonly unknown[]>) => {
      const { queries, askNotaries } = ask([pinned(first), pinned(second)], answers);
      const rows = await askNotaries(hs, wanted);
      return [queries.map(({ notary }) => notary), rows.map(({ validUntilMs }) => validUntilMs)];
    };
    expect(await order({ [second]: [good] })).toEqual([[first, second], [startMs + dayMs]]);
    expect(await order({ [first]: [old], [second]: [good] })).toEqual([[first, second], [startMs + dayMs]]);
    expect(await order({ [first]: [passedOn([first])], [second]: [good] })).toEqual([[first], [startMs + dayMs]]);
    expect(await order({ [first]: [old] })).toEqual([[first, second], [startMs - 1]]);
  });

  it('are those with the longest validity of several answers, with retired ones among them', async () => {
    const retired = { old_verify_keys: { 'ed25519:old': { key: keyOf(3, 'old').publicKey, expired_ts: 40 } } };
    const answer = [
      passedOn([first], { validUntilMs: 5, more: retired }),
      passedOn([first]),
      passedOn([first], { validUntilMs: 6 }),
    ];
    const { askNotaries } = ask([pinned(first)], { [first]: answer });
    const rows = await askNotaries(hs, wanted);
    expect(new Map(rows.map(({ keyId, validUntilMs }) => [keyId, validUntilMs]))).toEqual(
      new Map([
        ['ed25519:old', 40],
        ['ed25519:a', startMs + dayMs],
      ]),
    );
  });

  it('of a notary are not asked of itself', async () => {
    const { queries, askNotaries } = ask([pinned(first)], {});
    expect(await askNotaries(first, wanted)).toEqual([]);
    expect(queries).toEqual([]);
  });
});

import { describe, expect, it } from 'vitest';
import { createKeyNotary, type WantedKey } from '../../../src/federation-in/notary.ts';
import { createKeyServer } from '../../../src/federation-in/serve-keys.ts';
import type { JsonObject } from '../../../src/matrix/pdu.ts';
import type { ServerName } from '../../../src/matrix/server-name.ts';
import { signingKeyOfSeed } from '../../../src/signing/ed25519.ts';
import { signJson, verifySignedJson } from '../../../src/signing/sign-json.ts';
import type { PublishedKeys } from '../../../src/storage/contract/federation.ts';
import { ManualClock, settle } from '../../support/manual-clock.ts';

const us = 'us.example' as ServerName;
const hs = 'hs.example' as ServerName;
const startMs = 1_700_000_000_000;
const ourKey = signingKeyOfSeed(Buffer.alloc(32, 1), 'ours');
const hsKey = signingKeyOfSeed(Buffer.alloc(32, 2), 'a');
const signer = { server: us, key: ourKey };

function published(server: ServerName, validUntilMs = startMs + 1_000, more: JsonObject = {}): JsonObject {
  const keys = {
    server_name: server,
    verify_keys: { 'ed25519:a': { key: hsKey.publicKey } },
    valid_until_ts: validUntilMs,
  };
  return signJson({ ...keys, old_verify_keys: {}, ...more }, { server, key: hsKey });
}

/** A notary that knows `stored`; asked of a server itself, `live` comes, or nothing. */
function notary(stored: JsonObject[] = [], live: Record<string, JsonObject> = {}) {
  const clock = new ManualClock(startMs);
  const rows = new Map<ServerName, PublishedKeys>();
  const put = (answer: JsonObject) =>
    rows.set(answer.server_name as ServerName, { server: answer.server_name as ServerName, answer, fetchedAtMs: 0 });
  for (const answer of stored) put(answer);
  const refreshed: ServerName[] = [];
  const gates: (() => void)[] = [];
  let isSlow = false;
  const service = createKeyNotary({
    signer,
    signedKeys: createKeyServer({ serverName: us, key: ourKey, oldKeys: [], clock }),
    async refresh(server) {
      refreshed.push(server);
      if (isSlow) await new Promise<void>((open) => gates.push(open));
      const answer = live[server];
      if (answer) put(answer);
    },
    storage: {
      federation: {
        listPublishedKeys: async (servers) => servers.flatMap((server) => rows.get(server) ?? []),
      },
    },
    clock,
  });
  const query = (wanted: readonly WantedKey[] = [{}]) => service.query(new Map([[hs, wanted]]));
  return {
    clock,
    service,
    refreshed,
    query,
    becomeSlow: () => {
      isSlow = true;
    },
    open: () => {
      for (const open of gates.splice(0)) open();
    },
  };
}

describe('a notary', () => {
  it('passes on what a server published, signed by it and by us', async () => {
    const { query, refreshed } = notary([published(hs)]);
    const [answer = {}] = await query();
    expect(verifySignedJson(answer, hs, 'ed25519:a', hsKey.publicKey)).toBe(true);
    expect(verifySignedJson(answer, us, ourKey.keyId, ourKey.publicKey)).toBe(true);
    expect(answer).toMatchObject({ server_name: hs, valid_until_ts: startMs + 1_000 });
    expect(refreshed).toEqual([]);
  });

  it('passes on no signature of others', async () => {
    const other = { server: 'other.example' as ServerName, key: hsKey };
    const [answer] = await notary([signJson(published(hs), other)]).query();
    expect(Object.keys(answer?.signatures ?? {})).toEqual([hs, us]);
  });

  it('asks a server that it knows nothing of, and leaves out what does not answer', async () => {
    const known = notary([], { [hs]: published(hs) });
    expect(await known.query()).toHaveLength(1);
    expect(known.refreshed).toEqual([hs]);
    expect(await notary().query()).toEqual([]);
  });

  it.each<[string, WantedKey[], boolean]>([
    ['nothing is wanted but any key', [{}], false],
    ['it is wanted for longer', [{ untilMs: startMs + 1_001 }], true],
    ['it is wanted for as long as it holds', [{ untilMs: startMs + 1_000 }], false],
    ['the key is listed', [{ keyId: 'ed25519:a', untilMs: 5 }], false],
    ['the key is not listed', [{ keyId: 'ed25519:b', untilMs: 5 }], true],
    ['one of two is not listed', [{ keyId: 'ed25519:a' }, { keyId: 'ed25519:b', untilMs: 5 }], true],
    ['a retired key is wanted', [{ keyId: 'ed25519:old', untilMs: 5 }], false],
    ['the key is named like what every object has', [{ keyId: 'toString', untilMs: 5 }], true],
  ])('asks anew only when it must: %s', async (_when, wanted, asks) => {
    const stored = published(hs, undefined, { old_verify_keys: { 'ed25519:old': { key: 'x', expired_ts: 1 } } });
    const { query, refreshed } = notary([stored]);
    expect(await query(wanted)).toHaveLength(1);
    expect(refreshed).toEqual(asks ? [hs] : []);
  });

  it('asks anew for what is no longer valid now, and else goes on with the last that it heard', async () => {
    const { clock, query, refreshed } = notary([published(hs)]);
    await clock.advance(1_001);
    const [answer] = await query();
    expect(refreshed).toEqual([hs]);
    expect(answer).toMatchObject({ valid_until_ts: startMs + 1_000 });
  });

  it('answers for itself too, and nothing to a question about nobody', async () => {
    const { service, refreshed } = notary();
    const [own = {}] = await service.query(new Map([[us, [{}]]]));
    expect(own).toMatchObject({ server_name: us, verify_keys: { [ourKey.keyId]: { key: ourKey.publicKey } } });
    expect(verifySignedJson(own, us, ourKey.keyId, ourKey.publicKey)).toBe(true);
    expect(await service.query(new Map())).toEqual([]);
    expect(refreshed).toEqual([]);
  });

  it('does not wait for ever, and has what came late for the next query', async () => {
    const { clock, query, becomeSlow, open } = notary([], { [hs]: published(hs) });
    becomeSlow();
    let answer: JsonObject[] | undefined;
    const answered = query().then((found) => {
      answer = found;
    });
    await clock.advance(7_999);
    expect(answer).toBeUndefined();
    await clock.advance(1);
    await answered;
    expect(answer).toEqual([]);
    open();
    await settle();
    expect(await query([{ untilMs: startMs }])).toHaveLength(1);
  });

  it('asks 32 servers for one query, eight at once for all', async () => {
    const { clock, service, refreshed, becomeSlow, open } = notary();
    becomeSlow();
    const many = (name: string) =>
      new Map(Array.from({ length: 50 }, (_, index) => [`${name}${index}.example` as ServerName, [{}]]));
    const answers = Promise.all([service.query(many('a')), service.query(many('b'))]);
    await settle();
    expect(refreshed).toHaveLength(8);
    for (let round = 0; round < 20; round++) {
      open();
      await settle();
    }
    expect(refreshed).toHaveLength(64);
    expect(await answers).toEqual([[], []]);
    expect(clock.now()).toBe(startMs);
  });
});

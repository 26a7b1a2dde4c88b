import { describe, expect, it } from 'vitest';
import { checkSignatures } from '../../../src/federation-out/signature-checks.ts';
import type { JsonObject } from '../../../src/matrix/pdu.ts';
import type { ServerName } from '../../../src/matrix/server-name.ts';
import { signJson } from '../../../src/signing/sign-json.ts';
import type { ServerKeyRow } from '../../../src/storage/contract/federation.ts';
import { settle } from '../../support/manual-clock.ts';
import {
  dayMs,
  hs,
  hsKey,
  keyOf,
  other,
  otherKey,
  ourKey,
  ourOldKey,
  published,
  ring,
  startMs,
  us,
} from './key-ring-fixture.ts';

describe('a key', () => {
  it('is asked of its server, stored, and then known', async () => {
    const { asked, written, keyRing } = ring({ [hs]: published(hs) });
    expect(await keyRing.getKey(hs, 'ed25519:a', startMs)).toBe(hsKey.publicKey);
    expect(await keyRing.getKey(hs, 'ed25519:a', startMs)).toBe(hsKey.publicKey);
    expect(asked).toEqual([hs]);
    expect(written).toEqual([
      {
        kind: 'server_key',
        server: hs,
        keyId: 'ed25519:a',
        publicKey: hsKey.publicKey,
        validUntilMs: startMs + dayMs,
        fetchedAtMs: startMs,
      },
      { kind: 'published_keys', server: hs, answer: published(hs), fetchedAtMs: startMs },
    ]);
  });

  it('is taken from storage without asking', async () => {
    const row = { server: hs, keyId: 'ed25519:a', publicKey: hsKey.publicKey, validUntilMs: startMs, fetchedAtMs: 0 };
    const { asked, keyRing } = ring({}, [row]);
    expect(await keyRing.getKey(hs, 'ed25519:a', startMs)).toBe(hsKey.publicKey);
    expect(asked).toEqual([]);
  });

  it('of our own is never asked for', async () => {
    const { asked, keyRing } = ring();
    expect(await keyRing.getKey(us, ourKey.keyId, startMs)).toBe(ourKey.publicKey);
    expect(await keyRing.getKey(us, 'ed25519:other', startMs)).toBeUndefined();
    expect(asked).toEqual([]);
  });

  it('of our own that is an old one counts for what was signed up to its end', async () => {
    const { asked, keyRing } = ring();
    expect(await keyRing.getKey(us, ourOldKey.keyId, startMs)).toBe(ourOldKey.publicKey);
    expect(await keyRing.findKey(us, ourOldKey.keyId, startMs)).toBe(ourOldKey.publicKey);
    expect(await keyRing.getKey(us, ourOldKey.keyId, startMs + 1)).toBeUndefined();
    expect(await keyRing.findKey(us, ourOldKey.keyId, startMs + 1)).toBeUndefined();
    expect(asked).toEqual([]);
  });

  it('counts for what was signed up to valid_until_ts, and not a millisecond longer', async () => {
    const { keyRing } = ring({ [hs]: published(hs) });
    expect(await keyRing.getKey(hs, 'ed25519:a', startMs + dayMs)).toBe(hsKey.publicKey);
    expect(await keyRing.getKey(hs, 'ed25519:a', startMs + dayMs + 1)).toBeUndefined();
  });

  it('counts for seven days at most, whatever its server says', async () => {
    const { keyRing } = ring({ [hs]: published(hs, { validUntilMs: startMs + 1_000 * dayMs }) });
    expect(await keyRing.getKey(hs, 'ed25519:a', startMs + 7 * dayMs)).toBe(hsKey.publicKey);
    expect(await keyRing.getKey(hs, 'ed25519:a', startMs + 7 * dayMs + 1)).toBeUndefined();
  });

  it('that is no longer valid is asked for again, a minute after the last answer at the soonest', async () => {
    const { clock, asked, answers, keyRing } = ring({ [hs]: published(hs, { validUntilMs: startMs }) });
    expect(await keyRing.getKey(hs, 'ed25519:a', startMs + 1)).toBeUndefined();
    answers[hs] = published(hs);
    expect(await keyRing.getKey(hs, 'ed25519:a', startMs + 1)).toBeUndefined();
    expect(asked).toHaveLength(1);
    await clock.advance(60_000);
    expect(await keyRing.getKey(hs, 'ed25519:a', startMs + 1)).toBe(hsKey.publicKey);
    expect(asked).toHaveLength(2);
  });

  it('that was retired counts for what was signed before its end only', async () => {
    const old = keyOf(9, 'old');
    const more = { old_verify_keys: { 'ed25519:old': { key: old.publicKey, expired_ts: startMs - dayMs } } };
    const { keyRing } = ring({ [hs]: published(hs, { more }) });
    expect(await keyRing.getKey(hs, 'ed25519:old', startMs - dayMs)).toBe(old.publicKey);
    expect(await keyRing.getKey(hs, 'ed25519:old', startMs - dayMs + 1)).toBeUndefined();
  });

  it('that was retired since we learned it no longer counts for new signatures', async () => {
    const { clock, answers, keyRing } = ring({ [hs]: published(hs) });
    await keyRing.getKey(hs, 'ed25519:a', startMs);
    const more = { old_verify_keys: { 'ed25519:a': { key: hsKey.publicKey, expired_ts: startMs + 500 } } };
    answers[hs] = published(hs, { key: keyOf(7, 'b'), more });
    await clock.advance(60_000);
    await keyRing.getKey(hs, 'ed25519:b', startMs);
    expect(await keyRing.getKey(hs, 'ed25519:a', startMs + 501)).toBeUndefined();
    expect(await keyRing.getKey(hs, 'ed25519:a', startMs + 500)).toBe(hsKey.publicKey);
  });

  it('of a server that does not answer is asked for once in a while, longer each time', async () => {
    const { clock, asked, answers, keyRing } = ring();
    await keyRing.getKey(hs, 'ed25519:a', startMs);
    await keyRing.getKey(hs, 'ed25519:a', startMs);
    expect(asked).toHaveLength(1);
    await clock.advance(5_000);
    await keyRing.getKey(hs, 'ed25519:a', startMs);
    expect(asked).toHaveLength(2);
    await clock.advance(4_999);
    await keyRing.getKey(hs, 'ed25519:a', startMs);
    expect(asked).toHaveLength(2);
    answers[hs] = published(hs);
    await clock.advance(60_000);
    expect(await keyRing.getKey(hs, 'ed25519:a', startMs)).toBe(hsKey.publicKey);
  });

  it('is asked for once by all who want it at the same time', async () => {
    const { asked, keyRing } = ring({ [hs]: published(hs) });
    const wanted = Array.from({ length: 20 }, () => keyRing.getKey(hs, 'ed25519:a', startMs));
    expect(new Set(await Promise.all(wanted))).toEqual(new Set([hsKey.publicKey]));
    expect(asked).toHaveLength(1);
  });

  it('is asked of 32 servers at once, no more', async () => {
    const { asked, answers, keyRing } = ring();
    let answer = (): void => {};
    const gate = new Promise<void>((resolve) => {
      answer = resolve;
    });
    const servers = Array.from({ length: 40 }, (_, index) => `s${index}.example` as ServerName);
    for (const server of servers) answers[server] = () => gate.then(() => published(server));
    const keys = servers.map((server) => keyRing.getKey(server, 'ed25519:a', startMs));
    await settle();
    expect(asked).toHaveLength(32);
    answer();
    expect(new Set(await Promise.all(keys))).toEqual(new Set([hsKey.publicKey]));
    expect(asked).toHaveLength(40);
  });
});

describe('a notary', () => {
  const row = (more: Partial<ServerKeyRow> = {}): ServerKeyRow => ({
    server: hs,
    keyId: 'ed25519:a',
    publicKey: hsKey.publicKey,
    validUntilMs: startMs + dayMs,
    fetchedAtMs: startMs,
    ...more,
  });

  it('is not asked while the server itself tells the key', async () => {
    const { askedNotaries, keyRing } = ring({ [hs]: published(hs) }, [], [row()]);
    await keyRing.getKey(hs, 'ed25519:a', startMs);
    expect(askedNotaries).toEqual([]);
  });

  it('is asked when the server does not answer, and believed from then on', async () => {
    const { asked, askedNotaries, written, keyRing } = ring({}, [], [row()]);
    expect(await keyRing.getKey(hs, 'ed25519:a', startMs)).toBe(hsKey.publicKey);
    expect(await keyRing.getKey(hs, 'ed25519:a', startMs)).toBe(hsKey.publicKey);
    expect([asked, askedNotaries]).toEqual([[hs], [{ server: hs, keyIds: ['ed25519:a'] }]]);
    expect(written).toEqual([{ kind: 'server_key', ...row() }]);
  });

  it('is asked for the keys that the server no longer lists, and for these only', async () => {
    const lost = row({ keyId: 'ed25519:lost', publicKey: otherKey.publicKey, validUntilMs: startMs - dayMs });
    const { askedNotaries, keyRing } = ring({ [hs]: published(hs) }, [], [lost]);
    expect(await keyRing.getKey(hs, 'ed25519:lost', startMs - 2 * dayMs)).toBe(otherKey.publicKey);
    expect(await keyRing.getKey(hs, 'ed25519:lost', startMs)).toBeUndefined();
    expect(askedNotaries).toEqual([{ server: hs, keyIds: ['ed25519:lost'] }]);
  });

  it('cannot shorten what the server said', async () => {
    const { keyRing, written } = ring({ [hs]: published(hs) }, [], [row({ validUntilMs: startMs - dayMs })]);
    await keyRing.getKey(hs, 'ed25519:unknown', startMs);
    expect(await keyRing.getKey(hs, 'ed25519:a', startMs + dayMs)).toBe(hsKey.publicKey);
    expect(written.filter(({ kind }) => kind === 'server_key')).toHaveLength(1);
  });

  it('is left alone as long as the server is', async () => {
    const { clock, askedNotaries, keyRing } = ring();
    await keyRing.getKey(hs, 'ed25519:a', startMs);
    await keyRing.getKey(hs, 'ed25519:b', startMs);
    expect(askedNotaries).toHaveLength(1);
    await clock.advance(5_000);
    await keyRing.getKey(hs, 'ed25519:a', startMs);
    expect(askedNotaries).toHaveLength(2);
  });

  it('is asked once for all that must be verified of a server', async () => {
    const { askedNotaries, keyRing } = ring({}, [], [row()]);
    const all = Array.from({ length: 3 }, (_, index) => ({
      object: signJson({ index }, { server: hs, key: keyOf(2, index === 0 ? 'z' : 'a') }),
      servers: [hs],
      validAtMs: startMs,
    }));
    expect(await checkSignatures(keyRing, all, { ask: true })).toEqual(['unknown', 'good', 'good']);
    expect(askedNotaries).toEqual([{ server: hs, keyIds: ['ed25519:z', 'ed25519:a'] }]);
  });

  it('has no word in its own key, or in any that is asked of the owner', async () => {
    const { askedNotaries, keyRing, answers, clock } = ring({}, [], [row()]);
    expect(await keyRing.getOwnersKey(hs, 'ed25519:a', startMs)).toBeUndefined();
    answers[hs] = published(hs);
    await clock.advance(5_000);
    expect(await keyRing.getOwnersKey(hs, 'ed25519:a', startMs)).toBe(hsKey.publicKey);
    expect(askedNotaries).toEqual([]);
  });

  it('may have us refresh what we know of a server, once a minute', async () => {
    const { clock, asked, written, keyRing } = ring({ [hs]: published(hs) });
    await keyRing.refresh(hs);
    await keyRing.refresh(hs);
    expect(asked).toHaveLength(1);
    expect(written.map(({ kind }) => kind)).toEqual(['server_key', 'published_keys']);
    await clock.advance(60_000);
    await keyRing.refresh(hs);
    expect(asked).toHaveLength(2);
  });
});

describe('what a server publishes is refused whole', () => {
  const signed = published(hs);
  const forged = { ...signed, valid_until_ts: startMs + 2 * dayMs };
  const weak = { 'ed25519:a': { key: 'AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' } };

  it.each<[string, JsonObject]>([
    ['it is about another server', published(other)],
    ['its signature is wrong', forged],
    ['it has no signature', { ...signed, signatures: {} }],
    [
      'it is signed by a key that it does not list',
      signJson({ ...signed, signatures: {} }, { server: hs, key: otherKey }),
    ],
    ['it is signed by another server alone', signJson({ ...signed, signatures: {} }, { server: other, key: hsKey })],
    ['valid_until_ts is null', published(hs, { validUntilMs: null })],
    ['valid_until_ts is no integer', published(hs, { validUntilMs: '5' })],
    ['verify_keys is a list', published(hs, { more: { verify_keys: [] } })],
    ['an entry of verify_keys is no object', published(hs, { more: { verify_keys: { 'ed25519:a': 'abc' } } })],
    ['its key is of small order', published(hs, { more: { verify_keys: weak } })],
    ['old_verify_keys is nonsense', published(hs, { more: { old_verify_keys: 5 } })],
    ['it is empty', {}],
  ])('when %s', async (_why, answer) => {
    const { written, keyRing } = ring({ [hs]: JSON.parse(JSON.stringify(answer)) });
    expect(await keyRing.getKey(hs, 'ed25519:a', startMs)).toBeUndefined();
    expect(written).toEqual([]);
  });

  it('but not for keys of other algorithms, a missing list of old ones, or an old one without its end', async () => {
    const more = {
      verify_keys: { 'ed25519:a': { key: hsKey.publicKey }, 'rsa:1': { key: 'x' }, 'ed25519:bad id': { key: 'x' } },
      old_verify_keys: { 'ed25519:old': { key: otherKey.publicKey } },
    };
    const { keyRing } = ring({ [hs]: published(hs, { more }) });
    expect(await keyRing.getKey(hs, 'ed25519:a', startMs)).toBe(hsKey.publicKey);
    expect(await keyRing.getKey(hs, 'ed25519:old', 0)).toBeUndefined();
    const { old_verify_keys: _none, ...without } = published(hs, { more: { signatures: {} } });
    const again = ring({ [hs]: signJson({ ...without, signatures: {} }, { server: hs, key: hsKey }) });
    expect(await again.keyRing.getKey(hs, 'ed25519:a', startMs)).toBe(hsKey.publicKey);
  });
});

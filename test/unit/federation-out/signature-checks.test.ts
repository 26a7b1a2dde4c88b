import { describe, expect, it } from 'vitest';
import type { KeyRing } from '../../../src/federation-out/key-ring.ts';
import { checkSignatures, type SignatureVerdict } from '../../../src/federation-out/signature-checks.ts';
import type { JsonObject } from '../../../src/matrix/pdu.ts';
import type { ServerName } from '../../../src/matrix/server-name.ts';
import { signJson } from '../../../src/signing/sign-json.ts';
import { dayMs, hs, hsKey, keyOf, other, otherKey, ourKey, published, ring, startMs, us } from './key-ring-fixture.ts';

async function check(
  keyRing: KeyRing,
  object: JsonObject,
  servers: readonly ServerName[],
  validAtMs = startMs,
  ask = true,
): Promise<SignatureVerdict | undefined> {
  const [verdict] = await checkSignatures(keyRing, [{ object, servers, validAtMs }], { ask });
  return verdict;
}

describe('signed JSON', () => {
  const both = signJson(signJson({ a: 1 }, { server: hs, key: hsKey }), { server: other, key: otherKey });
  const answers = { [hs]: published(hs), [other]: published(other, { key: otherKey }) };

  it('is good when all the servers signed it', async () => {
    const { keyRing } = ring(answers);
    expect(await check(keyRing, both, [hs, other])).toBe('good');
    expect(await check(keyRing, both, [hs])).toBe('good');
  });

  it('is not when one of them did not, or nobody is named', async () => {
    const { keyRing } = ring(answers);
    const one = signJson({ a: 1 }, { server: hs, key: hsKey });
    const verify = (object: JsonObject, servers: ServerName[], validAtMs = startMs) =>
      check(keyRing, object, servers, validAtMs);
    expect(await verify(one, [hs, other])).toBe('bad');
    expect(await verify({ ...both, a: 2 }, [hs, other])).toBe('bad');
    expect(await verify(both, [])).toBe('bad');
    expect(await verify(both, [hs], startMs + 8 * dayMs)).toBe('bad');
    expect(await verify({ ...both, a: 1.5 }, [hs])).toBe('bad');
    expect(await verify({}, [hs])).toBe('bad');
  });

  it('is good for the bytes that its signatures cover, where they are given', async () => {
    const { keyRing } = ring(answers);
    const verify = (message: Uint8Array) =>
      checkSignatures(keyRing, [{ object: both, message, servers: [hs], validAtMs: startMs }], { ask: true });
    expect(await verify(Buffer.from('{"a":1}'))).toEqual(['good']);
    expect(await verify(Buffer.from('{"a":2}'))).toEqual(['bad']);
  });

  it('of ours is checked with our own key', async () => {
    const { asked, keyRing } = ring();
    const object = signJson({ a: 1 }, { server: us, key: ourKey });
    expect(await check(keyRing, object, [us])).toBe('good');
    expect(asked).toEqual([]);
  });

  it('needs one good signature of each server, and looks at five', async () => {
    const { keyRing } = ring(answers);
    const good = both.signatures[hs]?.['ed25519:a'] ?? '';
    const withBad = (count: number) => {
      const bad = Array.from({ length: count }, (_, index) => [`ed25519:x${index}`, good]);
      return { a: 1, signatures: { [hs]: Object.fromEntries([...bad, ['ed25519:a', good]]) } };
    };
    const verify = (object: JsonObject) => check(keyRing, object, [hs]);
    expect(await verify(withBad(4))).toBe('good');
    expect(await verify(withBad(5))).toBe('bad');
  });

  it('is checked in bulk, asking each server once, and answered by index', async () => {
    const { asked, keyRing } = ring({ [hs]: published(hs) });
    const all = Array.from({ length: 300 }, (_, index) => {
      const server = index % 3 === 0 ? other : hs;
      const object = signJson({ index }, { server, key: server === hs ? hsKey : otherKey });
      return { object, servers: [server], validAtMs: startMs };
    });
    const results = await checkSignatures(keyRing, all, { ask: true });
    expect(results).toEqual(all.map((_, index) => (index % 3 === 0 ? 'unknown' : 'good')));
    expect([...asked].sort()).toEqual([hs, other]);
  });

  it('waits for a key that is not at hand only where it may be asked for', async () => {
    const { asked, keyRing } = ring(answers);
    expect(await check(keyRing, both, [hs], startMs, false)).toBe('unknown');
    expect(asked).toEqual([]);
    expect(await check(keyRing, both, [hs])).toBe('good');
    expect(await check(keyRing, both, [hs], startMs, false)).toBe('good');
  });

  it('is bad, and not unknown, once its server has said that it has no such key, or none from that time', async () => {
    const { keyRing } = ring(answers);
    const strange = signJson({ a: 1 }, { server: hs, key: keyOf(2, 'z') });
    expect(await check(keyRing, strange, [hs])).toBe('bad');
    expect(await check(keyRing, both, [hs], startMs + 8 * dayMs, false)).toBe('bad');
  });

  it('stays unknown while its server does not answer, and one that is surely bad decides', async () => {
    const { keyRing } = ring({ [hs]: published(hs) });
    expect(await check(keyRing, both, [other])).toBe('unknown');
    expect(await check(keyRing, both, [other])).toBe('unknown');
    expect(await check(keyRing, both, [hs, other])).toBe('unknown');
    expect(await check(keyRing, { ...both, a: 2 }, [hs, other])).toBe('bad');
  });
});

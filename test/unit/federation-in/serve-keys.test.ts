import { describe, expect, it } from 'vitest';
import { canonicalJson } from '../../../src/base/json/canonical-json.ts';
import { createKeyServer } from '../../../src/federation-in/serve-keys.ts';
import type { ServerName } from '../../../src/matrix/server-name.ts';
import { signingKeyOfSeed } from '../../../src/signing/ed25519.ts';
import { verifySignedJson } from '../../../src/signing/sign-json.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const serverName = 'here.example' as ServerName;
const hourMs = 3_600_000;

describe('the published keys', () => {
  const key = signingKeyOfSeed(new Uint8Array(32).fill(7), 'k');

  it('are canonical JSON, signed by the key that they publish', () => {
    const clock = new ManualClock(1_000_000);
    const text = createKeyServer({ serverName, key, oldKeys: [], clock })();
    const keys = JSON.parse(text);
    expect(text).toBe(canonicalJson(keys));
    expect(verifySignedJson(keys, serverName, key.keyId, key.publicKey)).toBe(true);
    expect({ ...keys, signatures: undefined }).toEqual({
      server_name: serverName,
      verify_keys: { 'ed25519:k': { key: key.publicKey } },
      old_verify_keys: {},
      valid_until_ts: 1_000_000 + 24 * hourMs,
      signatures: undefined,
    });
  });

  it('tell of those that signed before, but for the one that signs now', () => {
    const [before, again] = [signingKeyOfSeed(new Uint8Array(32).fill(8), 'before'), key].map(
      ({ keyId, publicKey }) => ({
        keyId,
        publicKey,
        expiredAtMs: 900_000,
      }),
    );
    const oldKeys = before && again ? [before, again] : [];
    const keys = JSON.parse(createKeyServer({ serverName, key, oldKeys, clock: new ManualClock(1_000_000) })());
    expect(keys.verify_keys).toEqual({ 'ed25519:k': { key: key.publicKey } });
    expect(keys.old_verify_keys).toEqual({ 'ed25519:before': { key: before?.publicKey, expired_ts: 900_000 } });
    expect(verifySignedJson(keys, serverName, key.keyId, key.publicKey)).toBe(true);
  });

  it('stay the same bytes for half a day, and are always good for another half', async () => {
    const clock = new ManualClock();
    const serve = createKeyServer({ serverName, key, oldKeys: [], clock });
    const first = serve();
    await clock.advance(12 * hourMs - 1);
    expect(serve()).toBe(first);
    await clock.advance(1);
    expect(serve()).not.toBe(first);
    for (let hours = 0; hours < 48; hours += 5) {
      await clock.advance(5 * hourMs);
      expect(JSON.parse(serve()).valid_until_ts).toBeGreaterThanOrEqual(clock.now() + 12 * hourMs);
    }
  });
});

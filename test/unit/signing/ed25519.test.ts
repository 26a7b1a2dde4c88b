import fc from 'fast-check';
import nacl from 'tweetnacl';
import { describe, expect, it } from 'vitest';
import { encodeBase64 } from '../../../src/base/base64.ts';
import { systemRandom } from '../../../src/base/random.ts';
import {
  generateSeed,
  importPublicKey,
  signingKeyOfSeed,
  verifySignature,
  verifySignatures,
} from '../../../src/signing/ed25519.ts';
import type { VerifyKey } from '../../../src/signing/verifiers.ts';
import { propertyRuns } from '../../support/property-runs.ts';

function imported(publicKey: string): VerifyKey {
  const key = importPublicKey(publicKey);
  if (!key) throw new Error('the key was refused');
  return key;
}

const order = 2n ** 252n + 27742317777372353535851937790883648493n;

function littleEndian(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`);
}

function toLittleEndian(number: bigint): Buffer {
  return Buffer.from(number.toString(16).padStart(64, '0'), 'hex').reverse();
}

describe('ed25519', () => {
  it('signs byte for byte as tweetnacl does, whatever the seed and the message', () => {
    const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 });
    fc.assert(
      fc.property(bytes32, fc.uint8Array({ maxLength: 200 }), (seed, message) => {
        const pair = nacl.sign.keyPair.fromSeed(seed);
        const key = signingKeyOfSeed(seed, 'a');
        const signature = key.sign(message);
        expect(key.publicKey).toBe(encodeBase64(pair.publicKey));
        expect(Buffer.from(signature)).toEqual(Buffer.from(nacl.sign.detached(message, pair.secretKey)));
        expect(verifySignature(imported(key.publicKey), message, signature)).toBe(true);
      }),
      { numRuns: propertyRuns(15) },
    );
  });

  it('refuses a message or a signature in which one bit was changed', () => {
    const key = signingKeyOfSeed(generateSeed(systemRandom), 'a');
    const message = Buffer.from('what was said');
    const signature = key.sign(message);
    const publicKey = imported(key.publicKey);
    fc.assert(
      fc.property(fc.nat(64 * 8 - 1), (bit) => {
        const changed = Buffer.from(signature);
        changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        expect(verifySignature(publicKey, message, changed)).toBe(false);
      }),
    );
    expect(verifySignature(publicKey, Buffer.from('what was not said'), signature)).toBe(false);
  });

  it('refuses the second form of a signature, S plus the order, which tweetnacl accepts', () => {
    const seed = Buffer.alloc(32, 9);
    const pair = nacl.sign.keyPair.fromSeed(new Uint8Array(seed));
    const key = signingKeyOfSeed(seed, 'a');
    const message = new Uint8Array(Buffer.from('m'));
    const signature = key.sign(message);
    const malleable = Buffer.concat([
      signature.subarray(0, 32),
      toLittleEndian(littleEndian(signature.subarray(32)) + order),
    ]);
    expect(nacl.sign.detached.verify(message, new Uint8Array(malleable), pair.publicKey)).toBe(true);
    expect(verifySignature(imported(key.publicKey), message, malleable)).toBe(false);
  });

  it('refuses signatures of another length than 64 bytes', async () => {
    const key = imported(signingKeyOfSeed(Buffer.alloc(32, 1), 'a').publicKey);
    for (const length of [0, 63, 65]) {
      const signature = Buffer.alloc(length);
      expect(verifySignature(key, Buffer.from('m'), signature)).toBe(false);
      expect(await verifySignatures([{ key, message: Buffer.from('m'), signature }])).toEqual([false]);
    }
  });

  it('refuses public keys of another length, and what is no base64', () => {
    for (const text of [
      '',
      'AAAA',
      encodeBase64(Buffer.alloc(31, 3)),
      encodeBase64(Buffer.alloc(33, 3)),
      '*'.repeat(43),
    ]) {
      expect(importPublicKey(text)).toBeUndefined();
    }
  });

  it('refuses every form of the points of small order, for which tweetnacl accepts forgeries', () => {
    const prime = 2n ** 255n - 19n;
    const order8 = 0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n;
    const small = [0n, 1n, prime - 1n, prime, prime + 1n, order8, prime - order8];
    for (const y of small) {
      for (const sign of [0n, 1n << 255n])
        expect(importPublicKey(encodeBase64(toLittleEndian(y + sign)))).toBeUndefined();
    }
    // R the neutral element, S zero: fits every eighth message or more under a key of small order.
    const forged = new Uint8Array(64);
    forged[0] = 1;
    const weak = new Uint8Array(toLittleEndian(order8));
    const messages = Array.from({ length: 64 }, (_, index) => new Uint8Array([index]));
    expect(messages.some((message) => nacl.sign.detached.verify(message, forged, weak))).toBe(true);
  });

  it('refuses public keys that are not in canonical form', () => {
    const prime = 2n ** 255n - 19n;
    for (const above of [2n, 3n, 9n, 18n]) {
      expect(importPublicKey(encodeBase64(toLittleEndian(prime + above)))).toBeUndefined();
    }
    expect(importPublicKey(encodeBase64(toLittleEndian(prime - 2n)))).toBeDefined();
  });

  it('checks many at once and answers by index', async () => {
    const key = signingKeyOfSeed(Buffer.alloc(32, 5), 'a');
    const publicKey = imported(key.publicKey);
    const checks = Array.from({ length: 200 }, (_, index) => {
      const message = Buffer.from(`message ${index}`);
      return { key: publicKey, message, signature: key.sign(index % 3 === 0 ? Buffer.from('another') : message) };
    });
    const results = await verifySignatures(checks);
    expect(results).toEqual(checks.map((_, index) => index % 3 !== 0));
    expect(await verifySignatures([])).toEqual([]);
  });
});

import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import nacl from 'tweetnacl';
import { assert } from '../base/assert.ts';
import { decodeBase64, encodeBase64, encodeBase64Url } from '../base/base64.ts';
import type { Random } from '../base/random.ts';

export const seedBytes = 32;
const publicKeyBytes = 32;
const signatureBytes = 64;

/** A key of this server that can sign. */
export interface SigningKey {
  /** `ed25519:<version>` */
  readonly keyId: string;
  /** Unpadded base64 of the 32 bytes. */
  readonly publicKey: string;
  /** The 64 bytes of the signature. */
  sign(message: Uint8Array): Uint8Array;
}

/** A public key that was checked and can verify. Made by `importPublicKey` only. */
export interface VerifyKey {
  readonly publicKey: string;
  readonly keyObject: KeyObject;
}

export function generateSeed(random: Random): Uint8Array {
  return random.bytes(seedBytes);
}

/** The key that `seed`, 32 bytes, stands for; `version` is the part of the key id behind the colon. */
export function signingKeyOfSeed(seed: Uint8Array, version: string): SigningKey {
  assert(seed.length === seedBytes, 'an ed25519 seed has 32 bytes');
  const pair = nacl.sign.keyPair.fromSeed(seed);
  const privateKey = createPrivateKey({
    key: { kty: 'OKP', crv: 'Ed25519', d: encodeBase64Url(seed), x: encodeBase64Url(pair.publicKey) },
    format: 'jwk',
  });
  return {
    keyId: `ed25519:${version}`,
    publicKey: encodeBase64(pair.publicKey),
    sign: (message) => sign(null, message, privateKey),
  };
}

/**
 * The seven ways to write the y coordinate of a point of small order, little-endian, sign bit cleared. With such a key a signature can
 * be made that fits many messages.
 */
const smallOrderPoints = new Set([
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
]);

/** Whether the y coordinate is at least 2^255 - 19: then the same point has another, shorter form. */
function isNonCanonical(y: Uint8Array): boolean {
  if (y[31] !== 0x7f || (y[0] ?? 0) < 0xed) return false;
  return y.subarray(1, 31).every((byte) => byte === 0xff);
}

const importedMax = 10_000;
/** By the base64 text. Importing costs 7 µs, and the keys of busy servers come with every event. */
const imported = new LRUCache<string, VerifyKey>({ max: importedMax });

/**
 * The key that the base64 text stands for. Undefined unless it is 32 bytes that are the canonical form of a point which is not
 * of small order, as libsodium has it.
 */
export function importPublicKey(publicKey: string): VerifyKey | undefined {
  const cached = imported.get(publicKey);
  if (cached) return cached;
  const bytes = publicKey.length <= 44 ? decodeBase64(publicKey) : undefined;
  if (bytes?.length !== publicKeyBytes) return undefined;
  const y = Buffer.from(bytes);
  y[31] = (y[31] ?? 0) & 0x7f;
  if (smallOrderPoints.has(y.toString('hex')) || isNonCanonical(y)) return undefined;
  const key: VerifyKey = {
    publicKey,
    // A point that is not on the curve is imported all the same, and then verifies nothing.
    keyObject: createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: encodeBase64Url(bytes) }, format: 'jwk' }),
  };
  imported.set(publicKey, key);
  return key;
}

/** Whether `signature` is the key's for `message`. A signature of another length than 64 bytes is not. */
export function verifySignature(key: VerifyKey, message: Uint8Array, signature: Uint8Array): boolean {
  return signature.length === signatureBytes && verify(null, message, key.keyObject, signature);
}

export interface SignatureCheck {
  readonly key: VerifyKey;
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
}

const inFlightMax = 64;

/** The same for many, in the thread pool: the event loop stays free. Answers by index; at most 64 are under way at once. */
export async function verifySignatures(checks: readonly SignatureCheck[]): Promise<boolean[]> {
  const results: boolean[] = new Array(checks.length).fill(false);
  const remaining = checks.entries();
  const work = async (): Promise<void> => {
    for (const [index, check] of remaining) results[index] = await verifyInPool(check);
  };
  await Promise.all(Array.from({ length: Math.min(inFlightMax, checks.length) }, work));
  return results;
}

function verifyInPool({ key, message, signature }: SignatureCheck): Promise<boolean> {
  if (signature.length !== signatureBytes) return Promise.resolve(false);
  return new Promise((resolve, reject) => {
    verify(null, message, key.keyObject, signature, (error, result) => (error ? reject(error) : resolve(result)));
  });
}

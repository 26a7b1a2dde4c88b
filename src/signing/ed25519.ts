import { createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import nacl from 'tweetnacl';
import { assert } from '../base/assert.ts';
import { decodeBase64, encodeBase64, encodeBase64Url } from '../base/base64.ts';
import type { Random } from '../base/random.ts';
import { isCanonical, isOfSmallOrder } from './points.ts';
import { type SignatureCheck, type VerifyKey, verifier } from './verifiers.ts';

export const seedBytes = 32;
const publicKeyBytes = 32;

/** A key of this server that can sign. */
export interface SigningKey {
  /** `ed25519:<version>` */
  readonly keyId: string;
  /** Unpadded base64 of the 32 bytes. */
  readonly publicKey: string;
  /** The 64 bytes of the signature. */
  sign(message: Uint8Array): Uint8Array;
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
  if (isOfSmallOrder(bytes) || !isCanonical(bytes)) return undefined;
  const key: VerifyKey = {
    publicKey,
    // A copy: what was decoded lies in a piece of memory that others share, and would keep all of it.
    bytes: new Uint8Array(bytes),
    // A point that is not on the curve is imported all the same, and then verifies nothing.
    keyObject: createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: encodeBase64Url(bytes) }, format: 'jwk' }),
  };
  imported.set(publicKey, key);
  return key;
}

/** Whether `signature` is the key's for `message`. A signature of another length than 64 bytes is not. */
export function verifySignature(key: VerifyKey, message: Uint8Array, signature: Uint8Array): boolean {
  return verifier.verify({ key, message, signature });
}

/** The same for many, by index: the event loop goes on meanwhile. */
export function verifySignatures(checks: readonly SignatureCheck[]): Promise<boolean[]> {
  return verifier.verifyAll(checks);
}

import { createHash, createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { canonicalJson } from '../../src/base/json/canonical-json.ts';

type Json = Record<string, unknown>;

/** What `/sync` says to a device that uploaded nothing. */
export const noKeys = {
  device_one_time_keys_count: { signed_curve25519: 0 },
  device_unused_fallback_key_types: [],
};

/** A key pair of its own for each name. */
export class TestKey {
  /** Unpadded base64. */
  readonly publicKey: string;
  readonly #private;

  constructor(name: string) {
    const seed = createHash('sha256').update(name).digest();
    const prefix = Buffer.from('302e020100300506032b657004220420', 'hex');
    this.#private = createPrivateKey({ key: Buffer.concat([prefix, seed]), format: 'der', type: 'pkcs8' });
    const raw = createPublicKey(this.#private).export({ format: 'der', type: 'spki' }).subarray(-32);
    this.publicKey = raw.toString('base64').replace(/=+$/, '');
  }

  /** A copy with the user's signature under this name, `ed25519:` and the public key where none is given. */
  sign(userId: string, object: Json, name = this.publicKey): Json {
    const { signatures = {}, unsigned: _, ...covered } = object;
    const signature = sign(null, Buffer.from(canonicalJson(covered)), this.#private)
      .toString('base64')
      .replace(/=+$/, '');
    const all = signatures as Record<string, Json>;
    return {
      ...object,
      signatures: { ...all, [userId]: { ...all[userId], [`ed25519:${name}`]: signature } },
    };
  }
}

/** What a device says of itself, signed by itself. */
export function deviceKeys(userId: string, deviceId: string, name = `${userId} ${deviceId}`): Json {
  const key = new TestKey(name);
  const keys = {
    user_id: userId,
    device_id: deviceId,
    algorithms: ['m.olm.v1.curve25519-aes-sha2', 'm.megolm.v1.aes-sha2'],
    keys: {
      [`ed25519:${deviceId}`]: key.publicKey,
      [`curve25519:${deviceId}`]: new TestKey(`curve ${name}`).publicKey,
    },
  };
  return key.sign(userId, keys, deviceId);
}

/** One-time keys by name; the content is made of the ids. */
export function oneTimeKeys(...ids: string[]): Json {
  return Object.fromEntries(ids.map((id) => [`signed_curve25519:${id}`, { key: `key ${id}`, signatures: {} }]));
}

/** A key with which a user signs. */
export function signingKey(userId: string, usage: string, key: TestKey): Json {
  return { user_id: userId, usage: [usage], keys: { [`ed25519:${key.publicKey}`]: key.publicKey } };
}

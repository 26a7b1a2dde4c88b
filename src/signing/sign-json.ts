import { decodeBase64, encodeBase64 } from '../base/base64.ts';
import { CanonicalJsonError, type CanonicalOptions, canonicalJson } from '../base/json/canonical-json.ts';
import type { JsonObject, Signatures } from '../matrix/pdu.ts';
import type { ServerName } from '../matrix/server-name.ts';
import { importPublicKey, type SigningKey, verifySignature } from './ed25519.ts';

export interface Signer {
  readonly server: ServerName;
  readonly key: SigningKey;
}

/**
 * The bytes that a signature covers: the canonical JSON without `signatures` and `unsigned` (appendices, "Signing Details").
 * Throws CanonicalJsonError where there is none.
 */
export function signedBytes(object: JsonObject, options: CanonicalOptions = {}): Uint8Array {
  // Entries, not assignment: an own `__proto__` must stay a member.
  const covered = Object.entries(object).filter(([key]) => key !== 'signatures' && key !== 'unsigned');
  return Buffer.from(canonicalJson(Object.fromEntries(covered), options));
}

/**
 * A copy of `object` with our signature added beside those that it had; `unsigned` and all else stay as they were. Throws
 * CanonicalJsonError where the object has no canonical form.
 */
export function signJson<T extends JsonObject>(object: T, signer: Signer): T & { signatures: Signatures } {
  const signature = encodeBase64(signer.key.sign(signedBytes(object)));
  const before = asObject(object.signatures);
  const ofServer = asObject(ownMember(before, signer.server));
  const signatures = withMember(before, signer.server, withMember(ofServer, signer.key.keyId, signature));
  return withMember(object, 'signatures', signatures) as T & { signatures: Signatures };
}

/** The key ids of algorithms we know under which `signer`, a server or a user, signed; empty when it did not. */
export function listSigningKeyIds(object: JsonObject, signer: string): string[] {
  const ofServer = asObject(ownMember(asObject(object.signatures), signer));
  return Object.keys(ofServer).filter((keyId) => keyId.startsWith('ed25519:') && typeof ofServer[keyId] === 'string');
}

/** The signature bytes of `signer` under `keyId`; undefined where there is none or it is not base64. */
export function findSignature(object: JsonObject, signer: string, keyId: string): Uint8Array | undefined {
  const text = ownMember(asObject(ownMember(asObject(object.signatures), signer)), keyId);
  return typeof text === 'string' && text.length <= 88 ? decodeBase64(text) : undefined;
}

/**
 * Whether `object` carries a good signature of `signer` under `keyId` with this public key (base64). False, not an error,
 * for anything that is missing, malformed, or has no canonical form.
 */
export function verifySignedJson(
  object: JsonObject,
  signer: string,
  keyId: string,
  publicKey: string,
  options: CanonicalOptions = {},
): boolean {
  const signature = findSignature(object, signer, keyId);
  const key = importPublicKey(publicKey);
  if (!signature || !key) return false;
  try {
    return verifySignature(key, signedBytes(object, options), signature);
  } catch (error) {
    if (error instanceof CanonicalJsonError) return false;
    throw error;
  }
}

function asObject(value: unknown): JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : {};
}

function ownMember(object: JsonObject, key: string): unknown {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

/** A copy with one member set; keeps an own `__proto__`, which spreading keeps and assigning loses. */
function withMember(object: JsonObject, key: string, value: unknown): JsonObject {
  return Object.fromEntries([...Object.entries(object).filter(([name]) => name !== key), [key, value]]);
}

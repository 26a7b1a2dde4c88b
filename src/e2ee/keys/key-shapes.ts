import { CanonicalJsonError, canonicalJson, canonicalSize } from '../../base/json/canonical-json.ts';
import { isObject } from '../../engine/members.ts';
import type { DeviceId, UserId } from '../../matrix/ids.ts';
import type { JsonObject } from '../../matrix/pdu.ts';
import type { CrossSigningUsage } from '../../storage/contract/cross-signing.ts';

/** Larger ones are refused: lists of devices travel to every server that shares a room. */
const deviceKeysBytesMax = 32_768;
const crossSigningKeyBytesMax = 8_192;
const oneTimeKeyBytesMax = 4_096;
const keyNameMax = 255;
const algorithmsMax = 100;

/** What a device says of itself (client-server API, "DeviceKeys"). Further fields are covered by its signature, so they stay. */
export type DeviceKeys = JsonObject & {
  readonly user_id: UserId;
  readonly device_id: DeviceId;
  readonly algorithms: readonly string[];
  readonly keys: Readonly<Record<string, string>>;
  readonly signatures: SignaturesByUser;
};

export type SignaturesByUser = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** A key with which a user signs (client-server API, "CrossSigningKey"). It has one key, whose name ends with its value. */
export type CrossSigningKey = JsonObject & {
  readonly user_id: UserId;
  readonly usage: readonly string[];
  readonly keys: Readonly<Record<string, string>>;
  readonly signatures?: SignaturesByUser;
};

/** A plain key, or one with signatures. */
export type OneTimeKey = string | JsonObject;

export function isDeviceKeys(value: unknown): value is DeviceKeys {
  return (
    isObject(value) &&
    typeof value.user_id === 'string' &&
    typeof value.device_id === 'string' &&
    Array.isArray(value.algorithms) &&
    value.algorithms.length <= algorithmsMax &&
    value.algorithms.every((algorithm) => typeof algorithm === 'string') &&
    isTextMap(value.keys) &&
    Object.keys(value.keys).every(isKeyName) &&
    isSignatures(value.signatures) &&
    fits(value, deviceKeysBytesMax)
  );
}

export function isCrossSigningKey(value: unknown): value is CrossSigningKey {
  return (
    isObject(value) &&
    typeof value.user_id === 'string' &&
    Array.isArray(value.usage) &&
    value.usage.every((usage) => typeof usage === 'string') &&
    isTextMap(value.keys) &&
    (value.signatures === undefined || isSignatures(value.signatures)) &&
    fits(value, crossSigningKeyBytesMax)
  );
}

/** Whether it is this user's key for just this. */
export function isKeyOf(key: CrossSigningKey, userId: UserId, usage: CrossSigningUsage): boolean {
  return key.user_id === userId && key.usage.includes(usage) && findPublicKey(key) !== undefined;
}

/** "The object must have exactly one property, whose name is in the form `<algorithm>:<unpadded_base64_public_key>`" */
export function findPublicKey({ keys }: CrossSigningKey): string | undefined {
  const [entry, ...others] = Object.entries(keys);
  if (!entry || others.length > 0) return undefined;
  const [name, publicKey] = entry;
  return name === `ed25519:${publicKey}` && publicKey !== '' ? publicKey : undefined;
}

export function isOneTimeKey(value: unknown): value is OneTimeKey {
  if (typeof value === 'string') return value.length <= oneTimeKeyBytesMax && fits(value, oneTimeKeyBytesMax);
  return isObject(value) && typeof value.key === 'string' && fits(value, oneTimeKeyBytesMax);
}

/** `<algorithm>:<key id>`, both not empty. */
export function isKeyName(name: string): boolean {
  const colon = name.indexOf(':');
  return colon > 0 && colon < name.length - 1 && name.length <= keyNameMax;
}

/** Whether two are the same but for what is not signed and the signatures. */
export function isSameSigned(a: JsonObject, b: JsonObject): boolean {
  return canonicalJson(signedPart(a)) === canonicalJson(signedPart(b));
}

function signedPart(object: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([name]) => name !== 'signatures' && name !== 'unsigned'));
}

function isTextMap(value: unknown): value is Record<string, string> {
  return isObject(value) && Object.values(value).every((text) => typeof text === 'string');
}

function isSignatures(value: unknown): value is SignaturesByUser {
  return isObject(value) && Object.values(value).every(isTextMap);
}

/** Whether it has a canonical form, without which it could not be signed or sent, of at most so many bytes. */
function fits(value: unknown, bytesMax: number): boolean {
  try {
    return canonicalSize(value) <= bytesMax;
  } catch (error) {
    if (error instanceof CanonicalJsonError) return false;
    throw error;
  }
}

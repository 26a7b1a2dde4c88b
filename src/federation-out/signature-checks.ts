import { breathe } from '../base/breathe.ts';
import type { JsonObject } from '../matrix/pdu.ts';
import type { ServerName } from '../matrix/server-name.ts';
import { importPublicKey, verifySignatures } from '../signing/ed25519.ts';
import { findSignature, listSigningKeyIds, signedBytes } from '../signing/sign-json.ts';
import type { SignatureCheck } from '../signing/verifiers.ts';
import type { KeyRing } from './key-ring.ts';
import type { WantedKey } from './notaries.ts';

/** JSON that must be signed by all these servers, with keys valid at this time. */
export interface SignedBy {
  readonly object: JsonObject;
  /** The bytes that its signatures cover, where they are at hand or others than `signedBytes(object)`: an event's cover its redacted form. */
  readonly message?: Uint8Array;
  readonly servers: readonly ServerName[];
  readonly validAtMs: number;
}

/**
 * good: all the servers signed it. bad: one did not, or wrongly. unknown: whether one did, depends on a key that nobody gave so far.
 */
export type SignatureVerdict = 'good' | 'bad' | 'unknown';

/** Signatures of one server on one object that are looked at; more than a few are an attempt to keep us busy. */
const signaturesPerServerMax = 5;

type Keys = Pick<KeyRing, 'findKey' | 'learn' | 'mayLearnMore'>;

/**
 * What becomes of many signed objects, by index. With `ask` the keys that are not at hand are
 * asked for first, each server once and side by side; without, nobody is waited for.
 */
export async function checkSignatures(
  keys: Keys,
  all: readonly SignedBy[],
  { ask }: { readonly ask: boolean },
): Promise<SignatureVerdict[]> {
  if (ask) await learnKeys(keys, keysOf(all));
  const checks: SignatureCheck[] = [];
  const parts: ServerPart[][] = [];
  for (const signed of all) {
    await breathe();
    const message = signed.message ?? bytesOf(signed.object);
    const ofObject: ServerPart[] = [];
    for (const server of new Set(signed.servers)) {
      const part = message === undefined ? nothing : await partOf(keys, signed, { server, message });
      ofObject.push({ ...part, first: checks.length });
      checks.push(...part.checks);
    }
    parts.push(ofObject);
  }
  const results = await verifySignatures(checks);
  return parts.map((ofObject) => verdictOf(ofObject, results));
}

/** Asks for keys that are not at hand, as far as anybody may be asked now; each server once, side by side. */
export async function learnKeys(keys: Keys, wanted: ReadonlyMap<ServerName, readonly WantedKey[]>): Promise<void> {
  await Promise.all([...wanted].map(([server, ofServer]) => keys.learn(server, ofServer)));
}

interface ServerPart {
  readonly checks: readonly SignatureCheck[];
  /** The place of the first check among all. */
  readonly first: number;
  /** Some of the signatures is by a key that may still be learnt. */
  readonly lacksKey: boolean;
}

const nothing: ServerPart = { checks: [], first: 0, lacksKey: false };

async function partOf(
  keys: Keys,
  { object, validAtMs }: SignedBy,
  { server, message }: { readonly server: ServerName; readonly message: Uint8Array },
): Promise<ServerPart> {
  const checks: SignatureCheck[] = [];
  let lacksKey = false;
  for (const keyId of signingKeyIds(object, server)) {
    const signature = findSignature(object, server, keyId);
    const publicKey = await keys.findKey(server, keyId, validAtMs);
    const key = publicKey === undefined ? undefined : importPublicKey(publicKey);
    if (signature && key) checks.push({ key, message, signature });
    if (signature && publicKey === undefined) lacksKey ||= await keys.mayLearnMore(server);
  }
  return { checks, first: 0, lacksKey };
}

function verdictOf(parts: readonly ServerPart[], results: readonly boolean[]): SignatureVerdict {
  const isGood = ({ checks, first }: ServerPart): boolean => results.slice(first, first + checks.length).includes(true);
  const open = parts.filter((part) => !isGood(part));
  // Nobody to sign is no signature.
  if (open.length === 0) return parts.length > 0 ? 'good' : 'bad';
  return open.every(({ lacksKey }) => lacksKey) ? 'unknown' : 'bad';
}

function keysOf(all: readonly SignedBy[]): Map<ServerName, WantedKey[]> {
  const wanted = new Map<ServerName, Map<string, WantedKey>>();
  for (const { object, servers, validAtMs } of all) {
    for (const server of servers) {
      const ofServer = wanted.get(server) ?? new Map<string, WantedKey>();
      wanted.set(server, ofServer);
      for (const keyId of signingKeyIds(object, server)) ofServer.set(`${keyId}|${validAtMs}`, { keyId, validAtMs });
    }
  }
  return new Map([...wanted].map(([server, ofServer]) => [server, [...ofServer.values()]]));
}

function signingKeyIds(object: JsonObject, server: ServerName): string[] {
  return listSigningKeyIds(object, server).slice(0, signaturesPerServerMax);
}

/** Undefined where the object has no canonical form: nobody can have signed it. */
function bytesOf(object: JsonObject): Uint8Array | undefined {
  try {
    return signedBytes(object);
  } catch {
    return undefined;
  }
}

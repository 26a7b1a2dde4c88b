import { isObject } from '../engine/members.ts';
import type { JsonObject } from '../matrix/pdu.ts';
import type { ServerName } from '../matrix/server-name.ts';
import { importPublicKey } from '../signing/ed25519.ts';
import { listSigningKeyIds, verifySignedJson } from '../signing/sign-json.ts';
import type { ServerKeyRow } from '../storage/contract/federation.ts';

/** Server-server API, "Publishing Keys": "the lesser of this field and 7 days into the future" */
const validForMaxMs = 7 * 24 * 3_600_000;
const keysMax = 100;
const keyIdPattern = /^ed25519:[a-zA-Z0-9_]{1,128}$/;

/**
 * The keys in what a server answered to `/_matrix/key/v2/server`. Current keys are valid until `valid_until_ts`, at most seven days
 * from now; old ones for what was signed up to their `expired_ts`. Undefined when the answer is not about `server`, is
 * malformed, or is not signed by a key that it lists; keys of algorithms we do not know are passed over.
 */
export function parsePublishedKeys(answer: JsonObject, server: ServerName, nowMs: number): ServerKeyRow[] | undefined {
  const validUntilMs = answer.valid_until_ts;
  if (answer.server_name !== server || !isTimestamp(validUntilMs)) return undefined;
  const current = readKeys(answer.verify_keys);
  const old = readKeys(answer.old_verify_keys ?? {});
  if (!current || !old || !isSignedByListed(answer, server, current)) return undefined;
  const rows: ServerKeyRow[] = [];
  for (const [keyId, { publicKey, expiredMs }] of old) {
    if (expiredMs !== undefined && !current.has(keyId)) {
      rows.push({ server, keyId, publicKey, validUntilMs: Math.min(expiredMs, nowMs), fetchedAtMs: nowMs });
    }
  }
  for (const [keyId, { publicKey }] of current) {
    const untilMs = Math.min(validUntilMs, nowMs + validForMaxMs);
    rows.push({ server, keyId, publicKey, validUntilMs: untilMs, fetchedAtMs: nowMs });
  }
  return rows;
}

type ListedKeys = Map<string, { publicKey: string; expiredMs: number | undefined }>;

function readKeys(value: unknown): ListedKeys | undefined {
  if (!isObject(value)) return undefined;
  const keys: ListedKeys = new Map();
  for (const [keyId, entry] of Object.entries(value)) {
    if (!keyIdPattern.test(keyId)) continue;
    if (!isObject(entry) || typeof entry.key !== 'string' || keys.size >= keysMax) return undefined;
    // A key that we refuse, such as one of small order, is as good as none.
    if (!importPublicKey(entry.key)) continue;
    keys.set(keyId, { publicKey: entry.key, expiredMs: isTimestamp(entry.expired_ts) ? entry.expired_ts : undefined });
  }
  return keys;
}

/** "Digital signatures for this object signed using the `verify_keys`": one at least, and none of them wrong. */
function isSignedByListed(answer: JsonObject, server: ServerName, current: ListedKeys): boolean {
  const signedWith = listSigningKeyIds(answer, server).filter((keyId) => current.has(keyId));
  return (
    signedWith.length > 0 &&
    signedWith.every((keyId) => verifySignedJson(answer, server, keyId, current.get(keyId)?.publicKey ?? ''))
  );
}

function isTimestamp(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

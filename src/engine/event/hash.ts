import { hash } from 'node:crypto';
import { decodeBase64, encodeBase64 } from '../../base/base64.ts';
import { canonicalJson, joinMembers } from '../../base/json/canonical-json.ts';
import type { JsonObject, Pdu } from '../../matrix/pdu.ts';
import { without } from '../members.ts';
import { findForms } from './forms.ts';

const notInContentHash: ReadonlySet<string> = new Set(['unsigned', 'signatures', 'hashes']);

/**
 * The SHA-256 over the whole event, unredacted, without `unsigned`, `signatures` and `hashes` (server-server API, "Calculating the
 * content hash for an event"). Throws CanonicalJsonError where there is no canonical form.
 */
export function contentHash(event: Readonly<JsonObject>): Buffer {
  return sha256(canonicalJson(without(event, notInContentHash)));
}

/** The same as it stands in `hashes.sha256`. */
export function encodedContentHash(event: Readonly<JsonObject>): string {
  return encodeBase64(contentHash(event));
}

/** Whether the event is the one that was hashed. If not, only its redacted form may be believed. */
export function isContentHashValid(pdu: Readonly<Pdu>): boolean {
  return findForms(pdu)?.isContentHashValid ?? isHash(pdu.hashes.sha256, contentHash(pdu));
}

/** The same by the canonical form of the event's members. */
export function isContentHashOf(members: ReadonlyMap<string, string>, claimed: string): boolean {
  return isHash(claimed, sha256(joinMembers(members, notInContentHash)));
}

function isHash(claimed: string, hash: Buffer): boolean {
  return decodeBase64(claimed)?.equals(hash) ?? false;
}

export function sha256(text: string): Buffer {
  return hash('sha256', text, 'buffer');
}

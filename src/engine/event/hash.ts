import { hash } from 'node:crypto';
import { decodeBase64 } from '../../base/base64.ts';
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
  return encodedSha256(canonicalJson(without(event, notInContentHash)));
}

/** Whether the event is the one that was hashed. If not, only its redacted form may be believed. */
export function isContentHashValid(pdu: Readonly<Pdu>): boolean {
  return (
    findForms(pdu)?.isContentHashValid ?? isHashOf(canonicalJson(without(pdu, notInContentHash)), pdu.hashes.sha256)
  );
}

/** The same by the canonical form of the event's members. */
export function isContentHashOf(members: ReadonlyMap<string, string>, claimed: string): boolean {
  return isHashOf(joinMembers(members, notInContentHash), claimed);
}

function isHashOf(text: string, claimed: string): boolean {
  const expected = encodedSha256(text);
  // Nearly always: then the claim, which may also be padded, need not be taken apart.
  return claimed === expected || decodeBase64(claimed)?.equals(Buffer.from(expected, 'base64')) === true;
}

export function sha256(text: string): Buffer {
  return hash('sha256', text, 'buffer');
}

/** Unpadded base64, in half the time that the bytes and then their text take. */
export function encodedSha256(text: string): string {
  return hash('sha256', text, 'base64').slice(0, -1);
}

/** The same in the URL-safe alphabet. */
export function urlSafeSha256(text: string): string {
  return hash('sha256', text, 'base64url');
}

import type { Clock } from '../base/clock.ts';
import { CanonicalJsonError, canonicalJson } from '../base/json/canonical-json.ts';
import type { Random } from '../base/random.ts';
import type { Edu } from '../matrix/edu.ts';
import type { EventId } from '../matrix/ids.ts';
import type { JsonObject } from '../matrix/pdu.ts';
import type { ServerName } from '../matrix/server-name.ts';

/**
 * Never used before by us, also not before a restart. It begins with the millisecond of its making, which is the
 * transaction's `origin_server_ts` on every attempt: so a retry repeats it without a further column.
 */
export function newTransactionId(clock: Clock, random: Random): string {
  return `${clock.now()}-${random.token(16)}`;
}

function originServerTs(transactionId: string): number {
  return Number.parseInt(transactionId, 10);
}

/**
 * The body of `PUT /send/{txnId}` (server-server API, "Transactions"), in canonical form: what is signed is what is sent.
 * `pduTexts` are canonical JSON as stored and stand in it unchanged.
 */
export function transactionText(parts: {
  origin: ServerName;
  transactionId: string;
  eduTexts: readonly string[];
  pduTexts: readonly string[];
}): string {
  const edus = parts.eduTexts.length > 0 ? `"edus":[${parts.eduTexts.join(',')}],` : '';
  const origin = `"origin":${JSON.stringify(parts.origin)},`;
  const ts = `"origin_server_ts":${originServerTs(parts.transactionId)},`;
  return `{${edus}${origin}${ts}"pdus":[${parts.pduTexts.join(',')}]}`;
}

/** Undefined where the EDU has no canonical form (a fraction, a lone surrogate): it cannot be signed, so it cannot be sent. */
export function encodeEdu(edu: Edu): string | undefined {
  try {
    return canonicalJson(edu);
  } catch (err) {
    if (err instanceof CanonicalJsonError) return undefined;
    throw err;
  }
}

/** What the answer says went wrong with single events; empty for everything else that it may hold. */
export function listPduErrors(pdus: JsonObject, eventIds: readonly EventId[]): { eventId: EventId; error: string }[] {
  return eventIds.flatMap((eventId) => {
    const result = Object.hasOwn(pdus, eventId) ? pdus[eventId] : undefined;
    if (typeof result !== 'object' || result === null || !('error' in result)) return [];
    return typeof result.error === 'string' ? [{ eventId, error: result.error.slice(0, 500) }] : [];
  });
}

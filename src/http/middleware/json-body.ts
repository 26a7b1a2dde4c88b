import { parseExactJson } from '../../base/json/exact-json.ts';
import { hasLooseNumbers, type JsonLimits, parseJson } from '../../base/json/json.ts';
import { LooseNumber } from '../../base/json/loose-number.ts';
import { badJson, notJson } from '../../matrix/errors.ts';
import type { JsonObject } from '../../matrix/pdu.ts';

/** What a client may nest; no field of the specification comes near. */
const clientJsonLimits: JsonLimits = { depthMax: 100 };
/**
 * PDUs of other servers are judged one by one, so their border is where canonical JSON ends. Fifty events and a hundred EDUs that mean
 * something have a fraction of so many objects, and a body of nothing but these would hold up everybody.
 */
export const serverJsonLimits: JsonLimits = { depthMax: 256, containersMax: 200_000 };

/**
 * The object that a body holds; an empty body counts as `{}`. M_NOT_JSON for what is no JSON or no UTF-8, M_BAD_JSON for
 * anything but an object, lone surrogates and too deep nesting. From a client also for numbers outside ±(2^53 - 1)
 * (appendices, "Canonical JSON"); what a server sends is read exactly, because its signature covers it so, and each event
 * answers for its own numbers.
 */
export function parseBody(bytes: Uint8Array, from: 'client' | 'server'): { value: JsonObject; text: string } {
  if (bytes.byteLength === 0) return { value: {}, text: '' };
  const parsed = from === 'client' ? parseJson(bytes, clientJsonLimits) : parseExactJson(bytes, serverJsonLimits);
  if (parsed.outcome === 'not_json') throw notJson(parsed.reason);
  if (parsed.outcome === 'bad_json') throw badJson(parsed.reason);
  const { value, text } = parsed;
  if (!isJsonObject(value)) throw badJson('The body is not an object');
  if (from === 'client' && hasLooseNumbers(text) && holdsUnsafeNumber(value)) {
    throw badJson('A number lies outside ±(2^53 - 1)');
  }
  return { value, text };
}

function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof LooseNumber);
}

/** Fractions inside the range may stand: the `order` of a tag is one. Recursion is bounded by the depth checked before. */
function holdsUnsafeNumber(value: unknown): boolean {
  if (typeof value === 'number') return !(Math.abs(value) <= Number.MAX_SAFE_INTEGER);
  if (typeof value !== 'object' || value === null) return false;
  return Object.values(value).some(holdsUnsafeNumber);
}

import { isUtf8 } from 'node:buffer';
import { isWellFormed } from './canonical-json.ts';

export interface JsonLimits {
  /** How deep objects and arrays may nest. */
  depthMax: number;
  /** How many objects and arrays there may be: each costs a parser far more than its two characters. */
  containersMax?: number;
}

/** The same depth that canonical JSON can write. */
export const defaultJsonLimits: JsonLimits = { depthMax: 256 };

/**
 * parsed: the value, and the raw text for `hasLooseNumbers`. not_json: no JSON at all (M_NOT_JSON). bad_json: JSON that no
 * part of Matrix accepts: lone surrogates or too deep (M_BAD_JSON).
 */
export type ParsedJson =
  | { outcome: 'parsed'; value: unknown; text: string }
  | { outcome: 'not_json'; reason: string }
  | { outcome: 'bad_json'; reason: string };

/**
 * Parses a body. Never throws. Keys such as `__proto__` become own properties, as JSON.parse makes them; keep them by
 * passing objects on by reference, not by assigning their members. Of duplicate keys the last one counts.
 */
export function parseJson(source: string | Uint8Array, limits: JsonLimits = defaultJsonLimits): ParsedJson {
  if (typeof source !== 'string' && !isUtf8(source)) return { outcome: 'not_json', reason: 'The text is not UTF-8' };
  const text =
    typeof source === 'string'
      ? source
      : Buffer.from(source.buffer, source.byteOffset, source.byteLength).toString('utf8');
  const excess = findExcess(text, limits);
  if (excess !== undefined) return { outcome: 'bad_json', reason: excess };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { outcome: 'not_json', reason: 'The text is not JSON' };
  }
  // UTF-8 cannot carry a surrogate, so one can only have come by an escape, or in a string that was none.
  const mayHoldSurrogates = typeof source === 'string' || /\\u[dD][89a-fA-F]/.test(text);
  if (mayHoldSurrogates && holdsLoneSurrogate(value)) {
    return { outcome: 'bad_json', reason: 'A string holds a lone surrogate' };
  }
  return { outcome: 'parsed', value, text };
}

/**
 * True when a number in this JSON text is not written as an integer in ±(2^53 - 1): `1.0`, `1e2`, `-0`, 2^53. Room versions 6
 * and later must refuse such events, and after JSON.parse the difference is gone. Reads the text once, without building
 * anything; for text that is JSON, else the answer means nothing.
 */
export function hasLooseNumbers(text: string): boolean {
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    if (unit === quote) {
      index = endOfString(text, index);
    } else if (isStartOfNumber(unit)) {
      const end = endOfNumber(text, index);
      if (isLooseNumber(text, index, end)) return true;
      index = end - 1;
    }
  }
  return false;
}

const quote = 0x22;
const backslash = 0x5c;
const minus = 0x2d;
/** Integers this short cannot leave the safe range: 15 digits and a sign. */
const surelySafeLength = 15;

/** Whether a number token, or one that looks like it, begins with this unit. */
export function isStartOfNumber(unit: number): boolean {
  return unit === minus || isDigit(unit);
}

function isDigit(unit: number): boolean {
  return unit >= 0x30 && unit <= 0x39;
}

/** The index behind the number token that starts at `start`. */
export function endOfNumber(text: string, start: number): number {
  let end = start + 1;
  for (; end < text.length; end += 1) {
    const unit = text.charCodeAt(end);
    // Digits, '.', 'e', 'E', '+' and '-' are what a number can go on with.
    if (!isDigit(unit) && unit !== 0x2e && unit !== 0x65 && unit !== 0x45 && unit !== 0x2b && unit !== minus) break;
  }
  return end;
}

/** Whether the number token there is no strict integer. */
export function isLooseNumber(text: string, start: number, end: number): boolean {
  for (let index = start + 1; index < end; index += 1) {
    if (!isDigit(text.charCodeAt(index))) return true;
  }
  if (text.charCodeAt(start) === minus && text.charCodeAt(start + 1) === 0x30) return true;
  return end - start > surelySafeLength && !Number.isSafeInteger(Number(text.slice(start, end)));
}

/** The index of the quote that closes the string opened at `start`; the text's end where none does. */
export function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1);
  while (end !== -1) {
    let before = end - 1;
    while (before > start && text.charCodeAt(before) === backslash) before -= 1;
    if ((end - before) % 2 === 1) return end;
    end = text.indexOf('"', end + 1);
  }
  return text.length;
}

/** Which limit the text passes. Before parsing, so that hostile nesting costs a look at the text and no more. */
export function findExcess(
  text: string,
  { depthMax, containersMax = Number.POSITIVE_INFINITY }: JsonLimits,
): string | undefined {
  let depth = 0;
  let containers = 0;
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    if (unit === quote) {
      index = endOfString(text, index);
    } else if (unit === 0x7b || unit === 0x5b) {
      depth += 1;
      containers += 1;
      if (depth > depthMax) return `The JSON nests deeper than ${depthMax} levels`;
      if (containers > containersMax) return `The JSON has more than ${containersMax} objects and lists`;
    } else if (unit === 0x7d || unit === 0x5d) {
      depth -= 1;
    }
  }
  return undefined;
}

/** Recursion is bounded by the depth that was checked before. */
function holdsLoneSurrogate(value: unknown): boolean {
  if (typeof value === 'string') return !isWellFormed(value);
  if (typeof value !== 'object' || value === null) return false;
  if (Array.isArray(value)) return value.some(holdsLoneSurrogate);
  return Object.entries(value).some(([key, member]) => !isWellFormed(key) || holdsLoneSurrogate(member));
}

import { walk } from 'canonical-json';
import { LooseNumber } from './loose-number.ts';

/** The value has no canonical form: the whole list of reasons stands at `canonicalJson`. */
export class CanonicalJsonError extends Error {
  override name = 'CanonicalJsonError';
}

/** How deep objects and arrays may nest; deeper is refused, as `parseJson` refuses it. */
export const canonicalDepthMax = 256;

export interface CanonicalOptions {
  /** Refuses a `LooseNumber`. */
  readonly strict?: boolean;
  /** How a `LooseNumber` is given back: as its senders hash it, which is the rule, or as it was sent, of whatever size. */
  readonly numbers?: 'as hashed' | 'as sent';
}

/**
 * Matrix canonical JSON (appendices, "Canonical JSON"): no white space, keys by code point, integers only. The result is
 * to be encoded as UTF-8. Throws CanonicalJsonError for numbers that are no integers in ±(2^53 - 1), strings or keys with
 * lone surrogates, `undefined`, functions, class instances, holes, cycles, and nesting over 256 levels. `-0` becomes `0`,
 * as the published examples have it: after parsing, it cannot be told from an integer in exponent form anyway.
 *
 * A `LooseNumber` stands for what somebody else wrote and is given back as they hash it, unless it is not finite; to `strict` it is
 * no integer either.
 */
export function canonicalJson(value: unknown, options: CanonicalOptions = {}): string {
  return holdsLoose(value, options) ? encodeLoose(value, options) : encode(value);
}

/**
 * How many bytes of UTF-8 the canonical form takes. Throws as `canonicalJson` does. The order of keys takes no room, so the built-in
 * encoder, which is much faster, will do.
 */
export function canonicalSize(value: unknown, options: CanonicalOptions = {}): number {
  return Buffer.byteLength(holdsLoose(value, options) ? encodeLoose(value, options) : JSON.stringify(value));
}

/**
 * The canonical form of an object by its members, each `"key":value`, in their order: any of them, joined by commas in braces, are the form
 * of an object with these alone. Throws as `canonicalJson` does.
 */
export function canonicalMembers(
  object: Readonly<Record<string, unknown>>,
  options: CanonicalOptions = {},
): Map<string, string> {
  const isLoose = holdsLoose(object, options);
  const members = new Map<string, string>();
  const keys = Object.keys(object);
  if (!areInOrder(keys)) keys.sort(compareByCodePoint);
  for (const key of keys) {
    const value: unknown = Reflect.get(object, key);
    members.set(key, `${JSON.stringify(key)}:${isLoose ? encodeLoose(value, options) : encode(value)}`);
  }
  return members;
}

/** The object that these members form, without those left out. */
export function joinMembers(members: ReadonlyMap<string, string>, leftOut: ReadonlySet<string> = none): string {
  const texts: string[] = [];
  for (const [key, text] of members) if (!leftOut.has(key)) texts.push(text);
  return `{${texts.join(',')}}`;
}

const none: ReadonlySet<string> = new Set();

/** Bytes of UTF-8 of the object that these members form. */
export function sizeOfMembers(members: ReadonlyMap<string, string>): number {
  // The braces, and a comma behind each but the last.
  let size = Math.max(2, members.size + 1);
  for (const text of members.values()) size += Buffer.byteLength(text);
  return size;
}

/** Whether there is a loose number in the value, which otherwise is checked to have a canonical form. */
function holdsLoose(value: unknown, { strict, numbers }: CanonicalOptions): boolean {
  const found: Found = { loose: false, infinite: false };
  checkValue(value, 0, found);
  if (found.infinite && numbers !== 'as sent') throw new CanonicalJsonError('a number is larger than a double can be');
  if (found.loose && strict) throw new CanonicalJsonError('a number is not written as an integer in ±(2^53 - 1)');
  return found.loose;
}

/**
 * Keys that JavaScript keeps in the order in which they were set, which are all but whole numbers, and that the order by code units puts as
 * that by code points does. With no others, the built-in encoder writes the same text as the library, in a third of the time.
 */
const plainKey = /^(?!(?:__proto__|\d*)$)[\x20-\x7e]+$/;
const odd = Symbol('a value with another key');

function encode(value: unknown): string {
  if (isCanonical(value)) return JSON.stringify(value);
  const sorted = withSortedKeys(value);
  return sorted === odd ? encodeOdd(value) : JSON.stringify(sorted);
}

/** Whether all keys stand in their order already, as in what other servers send: then nothing has to be copied. */
function isCanonical(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true;
  if (Array.isArray(value)) return value.every(isCanonical);
  let before = '';
  for (const key of Object.keys(value)) {
    if (key <= before || !plainKey.test(key) || !isCanonical(Reflect.get(value, key))) return false;
    before = key;
  }
  return true;
}

/** A copy, or `odd`. */
function withSortedKeys(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    const items = value.map(withSortedKeys);
    return items.includes(odd) ? odd : items;
  }
  const copy: Record<string, unknown> = {};
  for (const key of Object.keys(value).sort()) {
    if (!plainKey.test(key)) return odd;
    const sorted = withSortedKeys(Reflect.get(value, key));
    if (sorted === odd) return odd;
    copy[key] = sorted;
  }
  return copy;
}

function encodeOdd(value: unknown): string {
  let text = '';
  walk(
    value,
    (chunk) => {
      text += chunk;
    },
    compareByCodePoint,
  );
  return text;
}

/** The library writes each scalar and key, and knows nothing of loose numbers. */
function encodeLoose(value: unknown, options: CanonicalOptions): string {
  if (value instanceof LooseNumber) return options.numbers === 'as sent' ? value.sent : value.text;
  if (Array.isArray(value)) return `[${value.map((item) => encodeLoose(item, options)).join(',')}]`;
  if (typeof value !== 'object' || value === null) return encode(value);
  const members = Object.entries(value).sort(([left], [right]) => compareByCodePoint(left, right));
  return `{${members.map(([key, member]) => `${encode(key)}:${encodeLoose(member, options)}`).join(',')}}`;
}

function areInOrder(keys: readonly string[]): boolean {
  for (let index = 1; index < keys.length; index += 1) {
    if (compareByCodePoint(keys[index - 1] ?? '', keys[index] ?? '') > 0) return false;
  }
  return true;
}

/**
 * Orders strings by Unicode code point. The default order of JavaScript goes by UTF-16 units and puts U+10000 and above
 * (surrogate pairs, D800 to DFFF) before U+E000 to U+FFFF.
 */
export function compareByCodePoint(left: string, right: string): number {
  const length = Math.min(left.length, right.length);
  for (let index = 0; index < length; index += 1) {
    const a = left.charCodeAt(index);
    const b = right.charCodeAt(index);
    if (a !== b) return codePointRank(a) - codePointRank(b);
  }
  return left.length - right.length;
}

/** Moves surrogates behind the rest of the basic plane. */
function codePointRank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}

/** True when every surrogate of the string stands in a pair, so that it has a UTF-8 form. */
export function isWellFormed(text: string): boolean {
  return text.isWellFormed();
}

/** What the check of a value came upon. */
interface Found {
  loose: boolean;
  /** A loose one that no double holds. */
  infinite: boolean;
}

function checkValue(value: unknown, depth: number, found: Found): void {
  switch (typeof value) {
    case 'string':
      if (!isWellFormed(value)) throw new CanonicalJsonError('a string holds a lone surrogate');
      return;
    case 'number':
      if (!Number.isSafeInteger(value)) throw new CanonicalJsonError('a number is not an integer in ±(2^53 - 1)');
      return;
    case 'boolean':
      return;
    case 'object':
      if (value !== null) checkContainer(value, depth + 1, found);
      return;
    default:
      throw new CanonicalJsonError(`a ${typeof value} has no JSON form`);
  }
}

function checkContainer(value: object, depth: number, found: Found): void {
  if (value instanceof LooseNumber) {
    found.loose = true;
    if (!value.isFinite) found.infinite = true;
    return;
  }
  // Also what ends the walk over a cycle.
  if (depth > canonicalDepthMax) throw new CanonicalJsonError(`nested deeper than ${canonicalDepthMax} levels`);
  if (Array.isArray(value)) {
    // By index, not by iterator: a hole must be seen as undefined.
    for (let index = 0; index < value.length; index += 1) checkValue(value[index], depth, found);
    return;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    throw new CanonicalJsonError('an object is not a plain one');
  }
  for (const [key, member] of Object.entries(value)) {
    if (!isWellFormed(key)) throw new CanonicalJsonError('a key holds a lone surrogate');
    checkValue(member, depth, found);
  }
}

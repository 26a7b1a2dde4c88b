import {
  defaultJsonLimits,
  endOfNumber,
  endOfString,
  hasLooseNumbers,
  isLooseNumber,
  type JsonLimits,
  type ParsedJson,
  parseJson,
} from './json.ts';
import { LooseNumber } from './loose-number.ts';

/**
 * Like `parseJson`, but numbers that are not written as an integer in ±(2^53 - 1) are `LooseNumber`s: for what other servers hashed or
 * signed. Costs nothing more where there are none.
 */
export function parseExactJson(source: string | Uint8Array, limits: JsonLimits = defaultJsonLimits): ParsedJson {
  const parsed = parseJson(source, limits);
  if (parsed.outcome !== 'parsed' || !hasLooseNumbers(parsed.text)) return parsed;
  return { ...parsed, value: new Reader(parsed.text).read() };
}

const space = 0x20;
const quote = 0x22;
const comma = 0x2c;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const words = new Map<number, { readonly value: unknown; readonly length: number }>([
  [0x74, { value: true, length: 4 }],
  [0x66, { value: false, length: 5 }],
  [0x6e, { value: null, length: 4 }],
]);

/** Reads text that `JSON.parse` has accepted, so it looks for no mistakes; recursion is bounded by the depth checked before. */
class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  read(): unknown {
    this.#skipSpace();
    const first = this.#text.charCodeAt(this.#at);
    if (first === quote) return this.#string();
    if (first === openBrace) return this.#object();
    if (first === openBracket) return this.#array();
    const word = words.get(first);
    if (!word) return this.#number();
    this.#at += word.length;
    return word.value;
  }

  /** Entries, not assignment: a `__proto__` becomes an own member, and of equal keys the last counts. */
  #object(): unknown {
    const entries: [string, unknown][] = [];
    this.#at += 1;
    while (!this.#ends(closeBrace)) {
      const key = this.#string();
      this.#skipSpace();
      this.#at += 1;
      entries.push([key, this.read()]);
    }
    return Object.fromEntries(entries);
  }

  #array(): unknown[] {
    const items: unknown[] = [];
    this.#at += 1;
    while (!this.#ends(closeBracket)) items.push(this.read());
    return items;
  }

  /** Steps over space and a comma; true behind the closing bracket. */
  #ends(bracket: number): boolean {
    this.#skipSpace();
    const next = this.#text.charCodeAt(this.#at);
    if (next === bracket) {
      this.#at += 1;
      return true;
    }
    if (next === comma) {
      this.#at += 1;
      this.#skipSpace();
    }
    return false;
  }

  #string(): string {
    const start = this.#at;
    const end = endOfString(this.#text, start);
    this.#at = end + 1;
    const inner = this.#text.slice(start + 1, end);
    return inner.includes('\\') ? JSON.parse(`"${inner}"`) : inner;
  }

  #number(): unknown {
    const start = this.#at;
    this.#at = endOfNumber(this.#text, start);
    const token = this.#text.slice(start, this.#at);
    return isLooseNumber(this.#text, start, this.#at) ? new LooseNumber(token) : Number(token);
  }

  #skipSpace(): void {
    while (this.#at < this.#text.length && this.#text.charCodeAt(this.#at) <= space) this.#at += 1;
  }
}

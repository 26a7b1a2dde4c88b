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

/** Reads text that `JSON.parse` has accepted, so it looks for no mistakes; recursion is bounded by the depth checked before. */
class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  read(): unknown {
    this.#skipSpace();
    switch (this.#text[this.#at]) {
      case '{':
        return this.#object();
      case '[':
        return this.#array();
      case '"':
        return this.#string();
      case 't':
        return this.#word('true', true);
      case 'f':
        return this.#word('false', false);
      case 'n':
        return this.#word('null', null);
      default:
        return this.#number();
    }
  }

  /** Entries, not assignment: a `__proto__` becomes an own member, and of equal keys the last counts. */
  #object(): unknown {
    const entries: [string, unknown][] = [];
    this.#at += 1;
    while (!this.#ends('}')) {
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
    while (!this.#ends(']')) items.push(this.read());
    return items;
  }

  /** Steps over space and a comma; true behind the closing bracket. */
  #ends(bracket: '}' | ']'): boolean {
    this.#skipSpace();
    if (this.#text[this.#at] === ',') {
      this.#at += 1;
      this.#skipSpace();
    }
    if (this.#text[this.#at] !== bracket) return false;
    this.#at += 1;
    return true;
  }

  #string(): string {
    const end = endOfString(this.#text, this.#at) + 1;
    const value: string = JSON.parse(this.#text.slice(this.#at, end));
    this.#at = end;
    return value;
  }

  #word<T>(word: string, value: T): T {
    this.#at += word.length;
    return value;
  }

  #number(): unknown {
    const start = this.#at;
    this.#at = endOfNumber(this.#text, start);
    const token = this.#text.slice(start, this.#at);
    return isLooseNumber(this.#text, start, this.#at) ? new LooseNumber(token) : Number(token);
  }

  #skipSpace(): void {
    while (/[ \t\n\r]/.test(this.#text[this.#at] ?? '')) this.#at += 1;
  }
}

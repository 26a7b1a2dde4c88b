import {
  defaultJsonLimits,
  endOfNumber,
  endOfString,
  hasLooseNumbers,
  isLooseNumber,
  isStartOfNumber,
  type JsonLimits,
  type ParsedJson,
  parseJson,
} from './json.ts';
import { LooseNumber } from './loose-number.ts';

/** Each is an object of ours, and no text that means something has as many. */
export const looseNumbersMax = 50_000;

/**
 * Like `parseJson`, but numbers that are not written as an integer in ±(2^53 - 1) are `LooseNumber`s: for what other servers hashed or
 * signed. Costs nothing more where there are none; text with more than `looseNumbersMax` of them is bad_json.
 */
export function parseExactJson(source: string | Uint8Array, limits: JsonLimits = defaultJsonLimits): ParsedJson {
  const parsed = parseJson(source, limits);
  if (parsed.outcome !== 'parsed' || !hasLooseNumbers(parsed.text)) return parsed;
  const marked = markLooseNumbers(parsed.text);
  if (!marked)
    return { outcome: 'bad_json', reason: `It has more than ${looseNumbersMax} numbers that are no integers` };
  return { ...parsed, value: unmark(JSON.parse(marked.text), marked.numbers) };
}

/** Begins a string that stands for a number. No string of the text has it alone: `parseJson` refuses lone surrogates. */
const mark = '\ud800';
const quote = 0x22;

/** The text with strings in the place of its loose numbers, so that the built-in parser, which is much the fastest, reads it. */
function markLooseNumbers(text: string): { text: string; numbers: readonly LooseNumber[] } | undefined {
  const numbers: LooseNumber[] = [];
  const pieces: string[] = [];
  let from = 0;
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    if (unit === quote) index = endOfString(text, index);
    if (!isStartOfNumber(unit)) continue;
    const end = endOfNumber(text, index);
    if (isLooseNumber(text, index, end)) {
      if (numbers.length === looseNumbersMax) return undefined;
      pieces.push(text.slice(from, index), `"${mark}${numbers.length}"`);
      numbers.push(new LooseNumber(text.slice(index, end)));
      from = end;
    }
    index = end - 1;
  }
  pieces.push(text.slice(from));
  return { text: pieces.join(''), numbers };
}

/** Changes the value where it stands. Recursion is bounded by the depth that was checked before. */
function unmark(value: unknown, numbers: readonly LooseNumber[]): unknown {
  if (typeof value === 'string') return isMarked(value) ? numbers[Number(value.slice(mark.length))] : value;
  if (typeof value !== 'object' || value === null) return value;
  for (const [key, member] of Object.entries(value)) {
    const unmarked = unmark(member, numbers);
    // Defined, not assigned: a `__proto__` stays an own member.
    if (unmarked !== member) Object.defineProperty(value, key, { value: unmarked });
  }
  return value;
}

/** The mark and a digit: half of a pair, which begins some good strings, stands before its other half. */
function isMarked(text: string): boolean {
  return text.startsWith(mark) && isStartOfNumber(text.charCodeAt(mark.length));
}

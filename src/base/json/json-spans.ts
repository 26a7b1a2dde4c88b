/** Where an element of an array stands in a JSON text: `text.slice(start, end)`. */
export interface Span {
  start: number;
  end: number;
}

const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const colon = 0x3a;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;

/**
 * The elements of the array under `key` of the outermost object, in the raw text of a body that JSON.parse accepted. The last of several
 * equal keys counts, as it does for JSON.parse. Undefined when there is no such array. Costs one pass over the text.
 */
export function findArraySpans(text: string, key: string): Span[] | undefined {
  let found: Span[] | undefined;
  let at = skipSpace(text, 0);
  if (text.charCodeAt(at) !== openBrace) return undefined;
  at = skipSpace(text, at + 1);
  while (at < text.length && text.charCodeAt(at) === quote) {
    const keyEnd = skipString(text, at);
    const name: unknown = JSON.parse(text.slice(at, keyEnd));
    at = skipSpace(text, skipSpace(text, keyEnd) + 1);
    const valueEnd = skipValue(text, at);
    if (name === key) found = text.charCodeAt(at) === openBracket ? elementsOf(text, at) : undefined;
    at = skipSpace(text, valueEnd);
    if (text.charCodeAt(at) === comma) at = skipSpace(text, at + 1);
  }
  return found;
}

function elementsOf(text: string, open: number): Span[] {
  const spans: Span[] = [];
  let at = skipSpace(text, open + 1);
  while (at < text.length && text.charCodeAt(at) !== closeBracket) {
    const end = skipValue(text, at);
    spans.push({ start: at, end });
    at = skipSpace(text, end);
    if (text.charCodeAt(at) === comma) at = skipSpace(text, at + 1);
  }
  return spans;
}

function skipSpace(text: string, from: number): number {
  let at = from;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) break;
    at++;
  }
  return at;
}

function skipString(text: string, open: number): number {
  let at = open + 1;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (code === backslash) at += 2;
    else if (code === quote) return at + 1;
    else at++;
  }
  return at;
}

/** The end of the value that begins at `from`: brackets are counted, so depth costs nothing. */
function skipValue(text: string, from: number): number {
  let depth = 0;
  let at = from;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (code === quote) {
      at = skipString(text, at);
      if (depth === 0) return at;
      continue;
    }
    if (code === openBrace || code === openBracket) depth++;
    else if (code === closeBrace || code === closeBracket) {
      if (depth === 0) return at;
      depth--;
      if (depth === 0) return at + 1;
    } else if (depth === 0 && (code === comma || code === colon || code <= 0x20)) return at;
    at++;
  }
  return at;
}

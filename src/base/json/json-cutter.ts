/** One element of an array that was cut out. */
export interface CutElement {
  /** The key of the array in the outermost object. */
  readonly key: string;
  /** The element as it was written; undefined where it is longer than the limit. */
  readonly bytes: Uint8Array | undefined;
}

export interface JsonCutterOptions {
  /** Arrays of the outermost object whose elements are handed out one by one. */
  readonly arrays: ReadonlySet<string>;
  /** Longer elements are passed over, and not held. */
  readonly elementBytesMax: number;
  /** Of all that is not in these arrays. */
  readonly restBytesMax: number;
}

/** The text is no JSON object as far as its outer shape goes, or too much of it stands outside the arrays. */
export class JsonCutError extends Error {
  override name = 'JsonCutError';
}

const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const colon = 0x3a;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;

/** What must come next. */
type Expected =
  | 'start'
  | 'status'
  | 'status_end'
  | 'object'
  | 'key'
  | 'colon'
  | 'value'
  | 'key_end'
  | 'element'
  | 'element_end'
  | 'pair_end'
  | 'end';

/**
 * Takes the JSON of a large object apart while it arrives: elements of some of its arrays are cut out one by one, so that the whole is never
 * in memory and no chunk costs more than one pass over its bytes. Elements are found by their brackets and quotes; whoever takes them
 * parses them. Also takes `[200, {…}]`, as the first versions of some federation endpoints answer.
 */
export class JsonCutter {
  readonly #options: JsonCutterOptions;
  /** The object without the elements of the arrays, to be parsed at the end. */
  readonly #rest: Buffer[] = [];
  #restBytes = 0;
  #expected: Expected = 'start';
  #isPair = false;
  #mayEnd = false;
  #key = '';
  readonly #seen = new Set<string>();

  /** The value under way: its pieces, and where its brackets and quotes stand. */
  #pieces: Uint8Array[] = [];
  #bytes = 0;
  #inValue = false;
  #depth = 0;
  #inString = false;
  #escaped = false;

  constructor(options: JsonCutterOptions) {
    this.#options = options;
  }

  /** The elements that are complete now. Throws JsonCutError. */
  push(chunk: Uint8Array): CutElement[] {
    const elements: CutElement[] = [];
    let at = 0;
    while (at < chunk.length) {
      if (this.#inValue) at = this.#readValue(chunk, at, elements);
      else at = this.#readOuter(chunk, at);
    }
    return elements;
  }

  /** The text of the object with those arrays empty. Throws JsonCutError where the text has not come to its end. */
  end(): string {
    if (this.#expected !== 'end') throw new JsonCutError('it ends in the middle');
    return Buffer.concat(this.#rest).toString('utf8');
  }

  /** One byte outside of values. */
  #readOuter(chunk: Uint8Array, at: number): number {
    const byte = chunk[at] ?? 0;
    if (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) return at + 1;
    switch (this.#expected) {
      case 'start':
        if (byte === openBracket) return this.#startPair(at);
        return this.#startObject(byte, at);
      case 'status':
        return this.#startValue(at);
      case 'status_end':
        this.#require(byte === comma);
        return this.#expect('object', at + 1);
      case 'object':
        return this.#startObject(byte, at);
      case 'key':
        if (byte === closeBrace && this.#mayEnd) return this.#close(at);
        this.#require(byte === quote);
        return this.#startValue(at);
      case 'colon':
        this.#require(byte === colon);
        return this.#expect('value', at + 1);
      case 'value':
        if (byte === openBracket && this.#options.arrays.has(this.#key)) return this.#startArray(at);
        return this.#startValue(at);
      case 'key_end':
        if (byte === closeBrace) return this.#close(at);
        this.#require(byte === comma);
        this.#keep(',');
        return this.#expect('key', at + 1, false);
      case 'element':
        if (byte === closeBracket && this.#mayEnd) return this.#endArray(at);
        return this.#startValue(at);
      case 'element_end':
        if (byte === closeBracket) return this.#endArray(at);
        this.#require(byte === comma);
        return this.#expect('element', at + 1, false);
      case 'pair_end':
        this.#require(byte === closeBracket);
        return this.#expect('end', at + 1);
      default:
        throw new JsonCutError('something stands behind it');
    }
  }

  #require(holds: boolean): void {
    if (!holds) throw new JsonCutError('it is no JSON object');
  }

  #expect(expected: Expected, at: number, mayEnd = false): number {
    this.#expected = expected;
    this.#mayEnd = mayEnd;
    return at;
  }

  #startPair(at: number): number {
    this.#isPair = true;
    return this.#expect('status', at + 1);
  }

  #startObject(byte: number, at: number): number {
    this.#require(byte === openBrace);
    this.#keep('{');
    return this.#expect('key', at + 1, true);
  }

  #startArray(at: number): number {
    if (this.#seen.has(this.#key)) throw new JsonCutError(`"${this.#key}" stands in it twice`);
    this.#seen.add(this.#key);
    this.#keep(`${JSON.stringify(this.#key)}:[]`);
    return this.#expect('element', at + 1, true);
  }

  #endArray(at: number): number {
    return this.#expect('key_end', at + 1);
  }

  #close(at: number): number {
    this.#keep('}');
    return this.#expect(this.#isPair ? 'pair_end' : 'end', at + 1);
  }

  #startValue(at: number): number {
    this.#inValue = true;
    this.#pieces = [];
    this.#bytes = 0;
    this.#depth = 0;
    this.#inString = false;
    this.#escaped = false;
    return at;
  }

  /** Goes on with the value until it ends or the chunk does. */
  #readValue(chunk: Uint8Array, start: number, elements: CutElement[]): number {
    const end = this.#findEnd(chunk, start);
    const piece = chunk.subarray(start, end === -1 ? chunk.length : end);
    this.#bytes += piece.length;
    const isElement = this.#expected === 'element';
    const bytesMax = isElement ? this.#options.elementBytesMax : this.#options.restBytesMax;
    if (this.#bytes <= bytesMax) this.#pieces.push(piece);
    else if (isElement) this.#pieces = [];
    else throw new JsonCutError('too much of it stands outside of its lists');
    if (end === -1) return chunk.length;
    this.#inValue = false;
    this.#require(this.#bytes > 0);
    this.#endValue(elements);
    return end;
  }

  #endValue(elements: CutElement[]): void {
    switch (this.#expected) {
      case 'element': {
        const isTooLong = this.#bytes > this.#options.elementBytesMax;
        // A copy: the chunk that it was cut from is not held by it.
        elements.push({ key: this.#key, bytes: isTooLong ? undefined : Buffer.concat(this.#pieces) });
        this.#expected = 'element_end';
        return;
      }
      case 'key':
        this.#key = parseKey(Buffer.concat(this.#pieces));
        this.#expected = 'colon';
        return;
      case 'value':
        this.#keep(`${JSON.stringify(this.#key)}:`);
        for (const piece of this.#pieces) this.#keep(piece);
        this.#expected = 'key_end';
        return;
      default:
        // Whatever stands there says nothing.
        this.#expected = 'status_end';
    }
  }

  /** The index behind the value; -1 where it goes on in the next chunk. Runs over every byte, so it keeps its state in local variables. */
  #findEnd(chunk: Uint8Array, start: number): number {
    let [depth, inString, escaped] = [this.#depth, this.#inString, this.#escaped];
    let end = -1;
    for (let at = start; at < chunk.length && end === -1; at += 1) {
      const byte = chunk[at];
      if (byte === undefined) break;
      if (inString) {
        if (escaped) escaped = false;
        else if (byte === backslash) escaped = true;
        else if (byte === quote) {
          inString = false;
          if (depth === 0) end = at + 1;
        }
      } else if (byte === quote) inString = true;
      else if (byte === openBrace || byte === openBracket) depth += 1;
      else if (byte === closeBrace || byte === closeBracket) {
        if (depth === 0) end = at;
        else if (depth === 1) end = at + 1;
        depth -= 1;
      } else if (depth === 0 && (byte === comma || byte === colon || byte <= 0x20)) end = at;
    }
    [this.#depth, this.#inString, this.#escaped] = [depth, inString, escaped];
    return end;
  }

  #keep(piece: string | Uint8Array): void {
    const bytes = Buffer.from(piece);
    this.#restBytes += bytes.length;
    if (this.#restBytes > this.#options.restBytesMax) {
      throw new JsonCutError('too much of it stands outside of its lists');
    }
    this.#rest.push(bytes);
  }
}

function parseKey(bytes: Buffer): string {
  try {
    return String(JSON.parse(bytes.toString('utf8')));
  } catch {
    throw new JsonCutError('it is no JSON object');
  }
}

/** A body that is not the multipart one that was announced. */
export class MultipartError extends Error {
  override name = 'MultipartError';
}

export interface Part {
  /** Names in lower case; of several with one name the first. */
  readonly headers: Readonly<Record<string, string>>;
  /** What lies between the headers and the next boundary. Must be read to its end before the next part is asked for. */
  readonly body: AsyncIterable<Uint8Array>;
}

/** What stands before the first boundary, and the headers of one part. */
const preambleBytesMax = 8 * 1024;
const headerBytesMax = 16 * 1024;

/** RFC 2046, section 5.1.1: 1 to 70 of these, the last one no space. Undefined: `contentType` is no multipart body with a boundary. */
export function findBoundary(contentType: string | undefined): string | undefined {
  const match = /^multipart\/mixed\s*;(?:.*;)?\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))\s*(?:;|$)/i.exec(
    contentType ?? '',
  );
  const boundary = match?.[1] ?? match?.[2];
  return boundary !== undefined && /^[\w'()+,./:=? -]{0,69}[\w'()+,./:=?-]$/.test(boundary) ? boundary : undefined;
}

/**
 * The parts of a multipart body (RFC 2046, section 5.1) while it arrives; nothing of a part is kept but the few bytes that could be the
 * beginning of a boundary. Throws MultipartError for what breaks off or has no end to its headers.
 */
export async function* readParts(chunks: AsyncIterable<Uint8Array>, boundary: string): AsyncGenerator<Part, void> {
  const input = new Input(chunks[Symbol.asyncIterator](), Buffer.from(`\r\n--${boundary}`));
  try {
    await input.skipPreamble();
    while (await input.startsPart()) {
      const headers = parseHeaders(await input.takeHeaders());
      yield { headers, body: input.takeBody() };
      if (input.isInBody) throw new MultipartError('a part was not read to its end');
    }
  } finally {
    input.end();
  }
}

class Input {
  readonly #chunks: AsyncIterator<Uint8Array>;
  readonly #delimiter: Buffer;
  /** What was read and not yet taken. The line break before the first boundary may be missing, so it is put there. */
  #held: Buffer = Buffer.from('\r\n');
  isInBody = false;

  constructor(chunks: AsyncIterator<Uint8Array>, delimiter: Buffer) {
    this.#chunks = chunks;
    this.#delimiter = delimiter;
  }

  /** Not waited for: a source that is stuck would answer no sooner than with its next chunk. */
  end(): void {
    this.#chunks.return?.().catch(() => {});
  }

  async #more(): Promise<void> {
    const { done, value } = await this.#chunks.next();
    if (done === true) throw new MultipartError('the body ends before its last boundary');
    this.#held = this.#held.length === 0 ? asBuffer(value) : Buffer.concat([this.#held, value]);
  }

  async skipPreamble(): Promise<void> {
    await this.#takeUntil(this.#delimiter, preambleBytesMax);
  }

  /** Behind a boundary: two dashes are the end, else white space and a line break. */
  async startsPart(): Promise<boolean> {
    while (this.#held.length < 2) await this.#more();
    if (this.#held.subarray(0, 2).toString('latin1') === '--') return false;
    const padding = await this.#takeUntil(lineBreak, headerBytesMax);
    if (/[^ \t]/.test(padding.toString('latin1'))) throw new MultipartError('a boundary is followed by something');
    return true;
  }

  async takeHeaders(): Promise<string> {
    // A part without headers begins with the empty line.
    this.#held = Buffer.concat([lineBreak, this.#held]);
    return (await this.#takeUntil(emptyLine, headerBytesMax)).toString('utf8');
  }

  async #takeUntil(mark: Buffer, bytesMax: number): Promise<Buffer> {
    for (;;) {
      const at = this.#held.indexOf(mark);
      if ((at === -1 ? this.#held.length : at) > bytesMax) throw new MultipartError('too long a head');
      if (at !== -1) {
        const taken = this.#held.subarray(0, at);
        this.#held = this.#held.subarray(at + mark.length);
        return taken;
      }
      await this.#more();
    }
  }

  async *takeBody(): AsyncGenerator<Uint8Array, void> {
    this.isInBody = true;
    const keep = this.#delimiter.length - 1;
    for (;;) {
      const at = this.#held.indexOf(this.#delimiter);
      const taken = this.#held.subarray(0, at === -1 ? Math.max(0, this.#held.length - keep) : at);
      this.#held = this.#held.subarray(at === -1 ? taken.length : at + this.#delimiter.length);
      if (at !== -1) this.isInBody = false;
      if (taken.length > 0) yield taken;
      if (at !== -1) return;
      await this.#more();
    }
  }
}

const lineBreak = Buffer.from('\r\n');
const emptyLine = Buffer.from('\r\n\r\n');

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function parseHeaders(text: string): Record<string, string> {
  const headers: Record<string, string> = Object.create(null);
  for (const line of text.split('\r\n')) {
    if (line === '') continue;
    const colon = line.indexOf(':');
    const name = line.slice(0, Math.max(0, colon)).toLowerCase();
    if (!/^[\w!#$%&'*+.^`|~-]+$/.test(name)) throw new MultipartError('a header of a part is none');
    headers[name] ??= line.slice(colon + 1).trim();
  }
  return headers;
}

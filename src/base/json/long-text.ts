import { Buffer } from 'node:buffer';
import { breathe } from '../breathe.ts';

/** Characters of one chunk, about: what is encoded, and handed to a socket, in one go. */
const chunkChars = 128 * 1024;
const partsPerTurn = 100;

/** A text as UTF-8 in chunks, because making it one string and then bytes would keep the event loop. */
export class LongText {
  readonly chunks: readonly Uint8Array[];
  readonly byteLength: number;

  constructor(chunks: readonly Uint8Array[]) {
    this.chunks = chunks;
    this.byteLength = chunks.reduce((sum, { byteLength }) => sum + byteLength, 0);
  }

  toString(): string {
    return Buffer.concat(this.chunks).toString();
  }
}

/** Puts a text together that may become long. Each `write` costs what it adds, so that others can have turns in between. */
export class TextWriter {
  readonly #chunks: Uint8Array[] = [];
  #parts: string[] = [];
  #chars = 0;

  write(part: string): void {
    this.#parts.push(part);
    this.#chars += part.length;
    if (this.#chars >= chunkChars) this.#encode();
  }

  /** All that was written; a short one is a string. */
  end(): string | LongText {
    if (this.#chunks.length === 0) return this.#parts.join('');
    if (this.#chars > 0) this.#encode();
    return new LongText(this.#chunks);
  }

  #encode(): void {
    this.#chunks.push(Buffer.from(this.#parts.join('')));
    this.#parts = [];
    this.#chars = 0;
  }
}

/** The parts with commas between them, in `before` and `after`; others get their turns meanwhile. */
export async function joinLong(before: string, parts: Iterable<string>, after: string): Promise<string | LongText> {
  const writer = new TextWriter();
  let written = 0;
  writer.write(before);
  for (const part of parts) {
    writer.write(written === 0 ? part : `,${part}`);
    written += 1;
    if (written % partsPerTurn === 0) await breathe();
  }
  writer.write(after);
  return writer.end();
}

/** The JSON of an object whose members hold objects of many members, one of these after the other; others get their turns meanwhile. */
export async function encodeByMembers(
  object: Readonly<Record<string, Readonly<Record<string, unknown>>>>,
): Promise<string | LongText> {
  const writer = new TextWriter();
  let written = 0;
  let open = '{';
  for (const [name, members] of Object.entries(object)) {
    writer.write(`${open}${JSON.stringify(name)}:{`);
    open = ',';
    let comma = '';
    for (const [member, value] of Object.entries(members)) {
      writer.write(`${comma}${JSON.stringify(member)}:${JSON.stringify(value)}`);
      comma = ',';
      written += 1;
      if (written % partsPerTurn === 0) await breathe();
    }
    writer.write('}');
  }
  writer.write(open === '{' ? '{}' : '}');
  return writer.end();
}

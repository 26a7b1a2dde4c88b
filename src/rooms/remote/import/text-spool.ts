import { assert } from '../../../base/assert.ts';
import type { Row } from '../../../storage/contract/commit.ts';
import type { Storage } from '../../../storage/contract/storage.ts';
import type { Import } from './imports.ts';

/** Characters that are held in memory; beyond that all goes into the storage. */
const heldMax = 4 * 1_024 * 1_024;
const textsPerCommit = 100;

/**
 * Keeps texts until they are asked for, each once, by the number of their arrival: a few in memory, many in the storage under the number
 * of the import.
 */
export class TextSpool {
  readonly #storage: Pick<Storage, 'imports' | 'commit'>;
  readonly #running: Import;
  #held = new Map<number, string>();
  #heldSize = 0;
  #isStored = false;
  #count = 0;
  readonly #heldMax: number;

  constructor(storage: Pick<Storage, 'imports' | 'commit'>, running: Import, options: { heldMax?: number } = {}) {
    this.#storage = storage;
    this.#running = running;
    this.#heldMax = options.heldMax ?? heldMax;
  }

  /** The numbers that the texts have got, in their order. */
  async add(texts: readonly string[]): Promise<number[]> {
    const numbers = texts.map((text, index) => {
      this.#held.set(this.#count + index, text);
      this.#heldSize += text.length;
      return this.#count + index;
    });
    this.#count += texts.length;
    if (this.#isStored || this.#heldSize > this.#heldMax) await this.#store();
    return numbers;
  }

  /** Takes texts out, in the order of the numbers. `removal`: to be committed with what was made of them. */
  async take(numbers: readonly number[]): Promise<{ readonly texts: string[]; readonly removal: readonly Row[] }> {
    if (!this.#isStored) {
      const texts = numbers.map((number) => textOf(this.#held, number));
      for (const number of numbers) this.#held.delete(number);
      return { texts, removal: [] };
    }
    const stored = await this.#storage.imports.listTexts(this.#running.id, numbers);
    const byNumber = new Map(stored.map(({ number, text }) => [number, text]));
    return {
      texts: numbers.map((number) => textOf(byNumber, number)),
      removal: [{ kind: 'import_texts_removed', importId: this.#running.id, numbers }],
    };
  }

  async #store(): Promise<void> {
    await this.#running.begin();
    this.#isStored = true;
    const held = [...this.#held];
    this.#held = new Map();
    this.#heldSize = 0;
    for (let start = 0; start < held.length; start += textsPerCommit) {
      const part = held.slice(start, start + textsPerCommit);
      const [first] = part[0] ?? [0];
      const texts = part.map(([, text]) => text);
      await this.#storage.commit({ rows: [{ kind: 'import_texts', importId: this.#running.id, first, texts }] });
    }
  }
}

function textOf(texts: ReadonlyMap<number, string>, number: number): string {
  const text = texts.get(number);
  assert(text !== undefined, 'the text was taken before');
  return text;
}

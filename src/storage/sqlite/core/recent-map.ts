/**
 * A map that forgets what was not asked for lately: it holds at most `entriesMax` entries, and surely the half of that number that were
 * set or read last. For what is read by the thousand: an LRU list keeps a better order, and takes forty times as long for each entry.
 */
export class RecentMap<Key, Value> {
  readonly #halfMax: number;
  #recent = new Map<Key, Value>();
  #older = new Map<Key, Value>();

  constructor(entriesMax: number) {
    this.#halfMax = Math.ceil(entriesMax / 2);
  }

  get(key: Key): Value | undefined {
    const value = this.#recent.get(key);
    if (value !== undefined) return value;
    const older = this.#older.get(key);
    if (older !== undefined) this.set(key, older);
    return older;
  }

  set(key: Key, value: Value): void {
    if (this.#recent.size >= this.#halfMax && !this.#recent.has(key)) {
      this.#older = this.#recent;
      this.#recent = new Map();
    }
    this.#recent.set(key, value);
  }

  clear(): void {
    this.#recent = new Map();
    this.#older = new Map();
  }
}

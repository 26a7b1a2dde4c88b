/**
 * A bounded memory of what was used last. It holds `max` entries at most, and always the half of them that was used last.
 *
 * A look costs one map: entries live in two of them, and when the younger one has its half, the older one is let go. A list in order of use is kept
 * at every look, which is more than the look itself where everybody's device is looked up several times a poll.
 */
export class RecentlyUsed<Key, Value extends NonNullable<unknown>> {
  readonly #half: number;
  #young = new Map<Key, Value>();
  #old = new Map<Key, Value>();

  constructor({ max }: { readonly max: number }) {
    this.#half = Math.max(1, Math.floor(max / 2));
  }

  get(key: Key): Value | undefined {
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    const old = this.#old.get(key);
    if (old !== undefined) this.set(key, old);
    return old;
  }

  has(key: Key): boolean {
    return this.get(key) !== undefined;
  }

  set(key: Key, value: Value): void {
    if (this.#young.size >= this.#half && !this.#young.has(key)) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, value);
  }

  delete(key: Key): void {
    this.#young.delete(key);
    this.#old.delete(key);
  }

  deleteWhere(ends: (value: Value, key: Key) => boolean): void {
    for (const entries of [this.#young, this.#old]) {
      for (const [key, value] of entries) if (ends(value, key)) entries.delete(key);
    }
  }
}

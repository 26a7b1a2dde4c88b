/**
 * Which values stand under which key, each at most once. Nearly every key has one value, which stands in the map by itself: a set for each would be the
 * larger part of what is kept.
 */
export class ManyByKey<Key, Value extends object> {
  readonly #values = new Map<Key, Value | Set<Value>>();

  /** How many values the key has now. */
  add(key: Key, value: Value): number {
    const known = this.#values.get(key);
    if (known instanceof Set) return known.add(value).size;
    if (known === undefined || known === value) {
      this.#values.set(key, value);
      return 1;
    }
    this.#values.set(key, new Set([known, value]));
    return 2;
  }

  /** False: it was not there. */
  delete(key: Key, value: Value): boolean {
    const known = this.#values.get(key);
    if (known === value) return this.#values.delete(key);
    if (!(known instanceof Set) || !known.delete(value)) return false;
    if (known.size === 0) this.#values.delete(key);
    return true;
  }

  /** Those of the key as they are now, in the order in which they came. */
  list(key: Key): readonly Value[] {
    const known = this.#values.get(key);
    if (known === undefined) return [];
    return known instanceof Set ? [...known] : [known];
  }

  keys(): IterableIterator<Key> {
    return this.#values.keys();
  }
}

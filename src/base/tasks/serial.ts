/** More wait for one key than the serial allows. */
export class SerialFullError extends Error {
  override name = 'SerialFullError';
}

interface Lane {
  tail: Promise<unknown>;
  /** Running and waiting. */
  count: number;
}

/**
 * Runs one task at a time per key, in the order of the calls; different keys do not wait for each other. At most
 * `waitingMax` tasks of one key may wait: a further one is refused with SerialFullError. A task that waits for a task of its
 * own key waits for ever.
 */
export class Serial {
  readonly #waitingMax: number;
  readonly #lanes = new Map<string, Lane>();

  constructor(options: { waitingMax: number }) {
    this.#waitingMax = options.waitingMax;
  }

  /** What `task` gives or throws. Rejects with SerialFullError, without running it, when too many wait for `key`. */
  async run<T>(key: string, task: () => Promise<T> | T): Promise<T> {
    const lane = this.#lanes.get(key);
    if (!lane) {
      const fresh: Lane = { tail: Promise.resolve(), count: 1 };
      this.#lanes.set(key, fresh);
      return this.#runIn(key, fresh, task);
    }
    if (lane.count > this.#waitingMax) throw new SerialFullError(`too many tasks wait for ${key}`);
    lane.count += 1;
    return this.#runIn(key, lane, task);
  }

  #runIn<T>(key: string, lane: Lane, task: () => Promise<T> | T): Promise<T> {
    const result = lane.tail.then(task);
    const settled = result.then(
      () => this.#leave(key, lane),
      () => this.#leave(key, lane),
    );
    lane.tail = settled;
    return result;
  }

  #leave(key: string, lane: Lane): void {
    lane.count -= 1;
    if (lane.count === 0) this.#lanes.delete(key);
  }

  /** Tasks running or waiting, over all keys. */
  get size(): number {
    let size = 0;
    for (const lane of this.#lanes.values()) size += lane.count;
    return size;
  }

  /** Resolves once nothing runs or waits. */
  async idle(): Promise<void> {
    while (this.#lanes.size > 0) await Promise.all([...this.#lanes.values()].map((lane) => lane.tail));
  }
}

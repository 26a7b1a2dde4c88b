/** More wait than there are places for. */
export class SlotsFullError extends Error {
  override name = 'SlotsFullError';
}

/**
 * Lets at most `runningMax` tasks run at once; further ones wait in the order they came, at most `waitingMax` of them, and beyond
 * that are refused with SlotsFullError.
 */
export class Slots {
  readonly #runningMax: number;
  readonly #waitingMax: number;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(options: { runningMax: number; waitingMax: number }) {
    this.#runningMax = options.runningMax;
    this.#waitingMax = options.waitingMax;
  }

  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#running < this.#runningMax) this.#running += 1;
    else await this.#wait();
    try {
      return await task();
    } finally {
      const next = this.#waiting.shift();
      // The place goes from hand to hand, so nobody who comes now can take it.
      if (next) next();
      else this.#running -= 1;
    }
  }

  #wait(): Promise<void> {
    if (this.#waiting.length >= this.#waitingMax) throw new SlotsFullError(`more than ${this.#waitingMax} tasks wait`);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}

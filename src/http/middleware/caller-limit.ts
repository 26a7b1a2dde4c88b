import { limitExceeded } from '../../matrix/errors.ts';

/** Bounds how many requests of one caller run at once. */
export class CallerLimit {
  readonly #concurrentMax: number;
  readonly #running = new Map<string, number>();

  constructor(concurrentMax: number) {
    this.#concurrentMax = concurrentMax;
  }

  /** What `task` gives; M_LIMIT_EXCEEDED, without running it, when the caller has too many running. */
  async run<T>(caller: string, task: () => Promise<T>): Promise<T> {
    const count = this.#running.get(caller) ?? 0;
    if (count >= this.#concurrentMax) throw limitExceeded(1000);
    this.#running.set(caller, count + 1);
    try {
      return await task();
    } finally {
      const left = (this.#running.get(caller) ?? 1) - 1;
      if (left === 0) this.#running.delete(caller);
      else this.#running.set(caller, left);
    }
  }
}

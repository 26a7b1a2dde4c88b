import { limitExceeded } from '../../matrix/errors.ts';

/** Bounds how many requests of one caller run at once. */
export class CallerLimit {
  readonly #concurrentMax: number;
  readonly #running = new Map<string, number>();

  constructor(concurrentMax: number) {
    this.#concurrentMax = concurrentMax;
  }

  /** One more of the caller's runs, until `leave`. Throws M_LIMIT_EXCEEDED, and counts nothing, when too many do. */
  enter(caller: string): void {
    const count = this.#running.get(caller) ?? 0;
    if (count >= this.#concurrentMax) throw limitExceeded(1000);
    this.#running.set(caller, count + 1);
  }

  /** Once for each `enter` that did not throw. */
  leave(caller: string): void {
    const left = (this.#running.get(caller) ?? 1) - 1;
    if (left === 0) this.#running.delete(caller);
    else this.#running.set(caller, left);
  }
}

import type { Clock } from '../../base/clock.ts';

/**
 * The hour as this process counts it: the one at its start, and how long that is ago. Tokens and losses carry it and are compared, so it must not
 * follow a clock of the machine that is set while it runs.
 */
export class Hour {
  /** Epoch milliseconds, of the beginning of this process. */
  readonly beganAtMs: number;
  /** The same of zero on the monotonic clock. */
  readonly zeroAtMs: number;
  readonly #clock: Pick<Clock, 'monotonic'>;

  constructor(clock: Pick<Clock, 'now' | 'monotonic'>) {
    this.#clock = clock;
    this.beganAtMs = Math.round(clock.now());
    this.zeroAtMs = Math.round(clock.now() - clock.monotonic());
  }

  /** Epoch milliseconds. */
  now(): number {
    return this.zeroAtMs + Math.floor(this.#clock.monotonic());
  }
}

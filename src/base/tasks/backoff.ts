import type { Random } from '../random.ts';

export interface Backoff {
  /** The wait after the first failure, before jitter. */
  firstMs: number;
  /** No wait is longer. */
  maxMs: number;
}

/**
 * How long to wait after the `failures`th failure in a row (1 is the first), in milliseconds: doubling from `firstMs` up to
 * `maxMs`, of which the upper half is random, so that many who failed together do not come back together.
 */
export function backoffDelayMs(backoff: Backoff, failures: number, random: Random): number {
  const exponent = Math.min(Math.max(failures - 1, 0), 40);
  const full = Math.min(backoff.firstMs * 2 ** exponent, backoff.maxMs);
  return Math.round(full * (0.5 + 0.5 * random.fraction()));
}

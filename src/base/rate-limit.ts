import { LRUCache } from 'lru-cache';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import type { Clock } from './clock.ts';

export interface RateLimitOptions {
  clock: Clock;
  /** How many per window and key. */
  points: number;
  windowMs: number;
  /** Keys counted at once; beyond it the one longest unused is forgotten and starts anew. */
  keysMax?: number;
}

export type RateLimitAnswer = { outcome: 'allowed' } | { outcome: 'limited'; retryAfterMs: number };

/**
 * So many per key and window; the window of a key opens with its first use. The library counts, but its windows run on the
 * machine's clock, with a timer for each key, and its table has no bound. So its counters are told never to expire, and here
 * stands, by the injected clock, when each is to be thrown away.
 */
export class RateLimit {
  readonly #options: RateLimitOptions;
  readonly #counters: RateLimiterMemory;
  /** Key → monotonic time at which its window ends. The library makes the table whole at once, so there is none before the first use. */
  #table: LRUCache<string, number> | undefined;

  constructor(options: RateLimitOptions) {
    this.#options = options;
    this.#counters = new RateLimiterMemory({ points: options.points, duration: 0 });
  }

  /** Counts one use, or `cost` of them, unless that would be too many; a refused use costs nothing more. */
  async use(key: string, cost = 1): Promise<RateLimitAnswer> {
    const now = this.#options.clock.monotonic();
    const windows = this.#windows();
    let endsAt = windows.get(key);
    if (endsAt === undefined || endsAt <= now) {
      windows.delete(key);
      endsAt = now + this.#options.windowMs;
      windows.set(key, endsAt);
    }
    try {
      await this.#counters.consume(key, cost);
      return { outcome: 'allowed' };
    } catch (refusal) {
      if (!(refusal instanceof RateLimiterRes)) throw refusal;
      await this.#counters.reward(key, cost);
      return { outcome: 'limited', retryAfterMs: Math.max(1, endsAt - now) };
    }
  }

  /** Takes back one use, or `cost` of them, that turned out to count for nothing. */
  async giveBack(key: string, cost = 1): Promise<void> {
    if (this.#table?.has(key)) await this.#counters.reward(key, cost);
  }

  #windows(): LRUCache<string, number> {
    this.#table ??= new LRUCache({
      max: this.#options.keysMax ?? 100_000,
      dispose: (_endsAt, key) => void this.#counters.delete(key).catch(() => false),
    });
    return this.#table;
  }
}

import type { Clock } from '../base/clock.ts';
import { RateLimit } from '../base/rate-limit.ts';
import { limitExceeded } from '../matrix/errors.ts';

/** Kinds of requests that are counted, each for itself. A route says which it belongs to. */
export type LimitName =
  | 'registrations'
  | 'logins'
  | 'messages'
  | 'toDevice'
  | 'joins'
  | 'invites'
  | 'uploads'
  | 'previews';

/** How many requests of each kind one caller may make in a minute; null: any number. */
export type RateLimitSettings = Readonly<Record<LimitName, number | null>>;

export interface RateLimits {
  /**
   * Counts a request before anything of it is done. The caller is a user, or an address where nobody is signed in. Throws
   * M_LIMIT_EXCEEDED, which says when to come again.
   */
  count(name: LimitName, caller: string): Promise<void>;
}

const windowMs = 60_000;

export function createRateLimits(deps: { clock: Clock; perMinute: RateLimitSettings }): RateLimits {
  const limits = new Map(
    Object.entries(deps.perMinute).flatMap(([name, points]): [string, RateLimit][] =>
      points === null ? [] : [[name, new RateLimit({ clock: deps.clock, points, windowMs })]],
    ),
  );
  return {
    async count(name, caller) {
      const answer = await limits.get(name)?.use(caller);
      if (answer?.outcome === 'limited') throw limitExceeded(answer.retryAfterMs);
    },
  };
}

export const noRateLimits: RateLimits = { count: async () => {} };

import { type Random, systemRandom } from '../../src/base/random.ts';

/** Ids as always, but no jitter: every wait has its full length, so that a test can name the moment at which it ends. */
export const unjitteredRandom: Random = { ...systemRandom, fraction: () => 1 - 2 ** -32 };

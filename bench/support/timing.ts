import { medianOf } from './statistics.ts';
import { elapsedMs, now } from './stopwatch.ts';

export interface TimedRuns<T> {
  /** What each run needs of its own, made outside the measured time. */
  readonly setUp: () => T | Promise<T>;
  readonly run: (given: T) => unknown;
  /** Runs before the first that counts, in which code is compiled and caches fill. */
  readonly warmUps?: number;
  readonly runs?: number;
}

/** How long one run takes by itself (see stopwatch), in milliseconds: every run that counts, in their order. For work of one thread. */
export async function timeRuns<T>({ setUp, run, warmUps = 3, runs = 9 }: TimedRuns<T>): Promise<number[]> {
  const samples: number[] = [];
  for (let done = 0; done < warmUps + runs; done += 1) {
    const given = await setUp();
    collectGarbage();
    const startedAt = now();
    await run(given);
    const endedAt = now();
    if (done >= warmUps) samples.push(elapsedMs(startedAt, endedAt));
  }
  return samples;
}

/** Does something `count` times. */
export type Contender = (count: number) => unknown;

export interface RateOptions {
  /** How often a contender repeats without a look at the clock. */
  readonly batch?: number;
  readonly roundMs?: number;
  readonly rounds?: number;
  /**
   * What a second is. `alone`: of one thread that has the processor for itself (see stopwatch). `cpu`: of the processor, whatever
   * threads use it.
   */
  readonly second?: 'alone' | 'cpu';
}

/**
 * How often a second each contender does its work: the median over rounds in which they take turns, so that what else happens on the machine
 * falls on all of them. The first round, which warms up, does not count.
 */
export async function ratesSideBySide<Name extends string>(
  contenders: Readonly<Record<Name, Contender>>,
  { batch = 20, roundMs = 200, rounds = 11, second = 'alone' }: RateOptions = {},
): Promise<Record<Name, number>> {
  const names = Object.keys(contenders) as Name[]; // Object.keys forgets the type
  const samples = new Map<Name, number[]>(names.map((name) => [name, []]));
  for (let round = 0; round <= rounds; round += 1) {
    for (const name of names) {
      const forMs = round === 0 ? 3 * roundMs : roundMs;
      const rate = await measureRate(contenders[name], { batch, forMs, second });
      if (round > 0) samples.get(name)?.push(rate);
    }
  }
  return Object.fromEntries(names.map((name) => [name, medianOf(samples.get(name) ?? [])])) as Record<Name, number>;
}

async function measureRate(
  contender: Contender,
  { batch, forMs, second }: { batch: number; forMs: number; second: 'alone' | 'cpu' },
): Promise<number> {
  const startedAt = now();
  let done = 0;
  let elapsed = 0;
  while (elapsed < forMs) {
    const pending = contender(batch);
    // Awaiting what is no promise would cost a turn of the queue each time.
    if (pending instanceof Promise) await pending;
    done += batch;
    const at = now();
    elapsed = second === 'cpu' ? at.cpuMs - startedAt.cpuMs : elapsedMs(startedAt, at);
  }
  return (done * 1_000) / elapsed;
}

/** `scripts/bench.mjs` runs Node with `--expose-gc`. */
export function collectGarbage(): void {
  globalThis.gc?.();
}

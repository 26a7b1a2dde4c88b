import { elapsedMs, now } from './stopwatch.ts';
import { collectGarbage } from './timing.ts';

export interface Watched<T> {
  readonly result: T;
  readonly elapsedMs: number;
  /** The longest time in which the event loop came to nothing else. */
  readonly longestTurnMs: number;
  /** How far heap and buffers rose above where they stood before, garbage not yet collected included. */
  readonly heapPeakMiB: number;
  /** What of it is still held afterwards. */
  readonly heapKeptMiB: number;
}

const mebi = 1_024 * 1_024;

/** Watches loop and memory of this process while something asynchronous runs. */
export async function watch<T>(run: () => Promise<T>): Promise<Watched<T>> {
  collectGarbage();
  const before = heapBytes();
  let peak = before;
  let longestTurnMs = 0;
  let over = false;
  let last = now();
  const look = (): void => {
    longestTurnMs = Math.max(longestTurnMs, elapsedMs(last, now()));
    peak = Math.max(peak, heapBytes());
    last = now();
    if (!over) setImmediate(look);
  };
  setImmediate(look);
  await new Promise((resolve) => setImmediate(resolve));
  const startedAt = now();
  const result = await run();
  const endedAt = now();
  over = true;
  look();
  collectGarbage();
  return {
    result,
    elapsedMs: elapsedMs(startedAt, endedAt),
    longestTurnMs,
    heapPeakMiB: (peak - before) / mebi,
    heapKeptMiB: (heapBytes() - before) / mebi,
  };
}

function heapBytes(): number {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

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
  let lastAt = performance.now();
  const look = (): void => {
    const now = performance.now();
    longestTurnMs = Math.max(longestTurnMs, now - lastAt);
    peak = Math.max(peak, heapBytes());
    lastAt = performance.now();
    if (!over) setImmediate(look);
  };
  setImmediate(look);
  await new Promise((resolve) => setImmediate(resolve));
  const startedAt = performance.now();
  const result = await run();
  const elapsedMs = performance.now() - startedAt;
  over = true;
  look();
  collectGarbage();
  return {
    result,
    elapsedMs,
    longestTurnMs,
    heapPeakMiB: (peak - before) / mebi,
    heapKeptMiB: (heapBytes() - before) / mebi,
  };
}

function heapBytes(): number {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

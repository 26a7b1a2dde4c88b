import { resolveState } from '../../src/engine/state-res/resolve.ts';
import type { Measure } from '../support/report.ts';
import type { BenchPart } from '../support/run.ts';
import { medianOf } from '../support/statistics.ts';
import { timeRuns } from '../support/timing.ts';
import { watch } from '../support/watch.ts';
import { LargeRoom, splitWithConflicts } from './forked-room.ts';

/** Two state sets of 10,000 with 100 conflicts; the events are in memory. */
export const resolutionPart: BenchPart = {
  name: 'state resolution',
  run: async () => {
    const measures: Measure[] = [];
    for (const version of ['1', '2', '11', '12']) {
      const large = new LargeRoom(version, 10_000);
      const sides = splitWithConflicts(large, 100);
      const samples = await timeRuns({ setUp: () => large.input(sides), run: resolveState, warmUps: 10, runs: 15 });
      measures.push({
        name: `resolve 2 × 10 000, 100 conflicts, v${version}`,
        unit: 'ms',
        value: medianOf(samples),
        bound: { atMost: 50 },
      });
      measures.push(await measureLargeConflict(large, version));
    }
    return measures;
  },
};

/** A conflict that takes longer than a turn of the loop may: what is watched is the longest of them. */
async function measureLargeConflict(large: LargeRoom, version: string): Promise<Measure> {
  const input = large.input(splitWithConflicts(large, 2_000));
  await resolveState(input);
  const longest: number[] = [];
  for (let run = 0; run < 5; run += 1) longest.push((await watch(() => resolveState(input))).longestTurnMs);
  return {
    name: `longest turn of the loop, 2 000 conflicts, v${version}`,
    unit: 'ms',
    // The smallest of all: what else the machine does, collecting garbage included, only adds.
    value: Math.min(...longest),
    bound: { atMost: 20 },
  };
}

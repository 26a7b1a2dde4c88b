import { performance } from 'node:perf_hooks';

/** Which share of the time the event loop worked since the last call, 0 to 1. One reading costs about a microsecond. */
export type LoopShare = () => number;

/** Of this process's loop; the first call tells of its whole life. */
export function createLoopShare(): LoopShare {
  let last = performance.eventLoopUtilization();
  let isFirst = true;
  return () => {
    const present = performance.eventLoopUtilization();
    const { utilization } = isFirst ? present : performance.eventLoopUtilization(present, last);
    last = present;
    isFirst = false;
    return utilization;
  };
}

/**
 * A moment by two clocks. On a busy machine the wall clock also runs while other programs have the processor, and the CPU time of
 * a process also counts what its other threads do; the smaller of both is what work of one thread would take by itself.
 */
export interface Moment {
  readonly wallMs: number;
  readonly cpuMs: number;
}

export function now(): Moment {
  const { user, system } = process.cpuUsage();
  return { wallMs: performance.now(), cpuMs: (user + system) / 1_000 };
}

export function elapsedMs(from: Moment, to: Moment): number {
  return Math.min(to.wallMs - from.wallMs, to.cpuMs - from.cpuMs);
}

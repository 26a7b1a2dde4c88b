import type { ServerName } from '../../../matrix/server-name.ts';

/** How many events may wait; a PDU has at most 64 KiB. */
export const waitingLimits = { inRoom: 500, ofServer: 500, inAll: 5_000 };

export interface OriginCount {
  readonly origin: ServerName;
  readonly count: number;
}

/**
 * How many events of which server must go so that `max` are left. Always of the server that has most: who floods a room pushes out
 * what is their own, and nobody else's.
 */
export function chooseExcess(counts: readonly OriginCount[], max: number): OriginCount[] {
  const left = new Map(counts.map(({ origin, count }) => [origin, count]));
  let excess = counts.reduce((sum, { count }) => sum + count, 0) - max;
  const chosen = new Map<ServerName, number>();
  while (excess > 0) {
    const [origin, most] = [...left].reduce((a, b) => (b[1] > a[1] ? b : a));
    const second = Math.max(0, ...[...left].filter(([other]) => other !== origin).map(([, count]) => count));
    const go = Math.min(excess, Math.max(1, most - second));
    left.set(origin, most - go);
    chosen.set(origin, (chosen.get(origin) ?? 0) + go);
    excess -= go;
  }
  return [...chosen].map(([origin, count]) => ({ origin, count }));
}

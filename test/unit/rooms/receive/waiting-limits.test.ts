import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ServerName } from '../../../../src/matrix/server-name.ts';
import { chooseExcess } from '../../../../src/rooms/remote/receive/waiting-limits.ts';
import { propertyRuns } from '../../../support/property-runs.ts';

const counts = (entries: Record<string, number>) =>
  Object.entries(entries).map(([origin, count]) => ({ origin: origin as ServerName, count }));
const chosen = (entries: Record<string, number>, max: number) =>
  Object.fromEntries(chooseExcess(counts(entries), max).map(({ origin, count }) => [origin, count]));

describe('what has to go where too many events wait', () => {
  it('is nothing up to the limit', () => {
    expect(chosen({ a: 3, b: 2 }, 5)).toEqual({});
    expect(chosen({}, 0)).toEqual({});
  });

  it('is of the server that has most', () => {
    expect(chosen({ flood: 100, a: 3, b: 2 }, 50)).toEqual({ flood: 55 });
  });

  it('is of several once they have as many', () => {
    expect(chosen({ a: 10, b: 8, c: 1 }, 9)).toEqual({ a: 6, b: 4 });
  });

  it('leaves just so many, and takes from nobody who has less than somebody is left with', () => {
    const server = fc.constantFrom('a', 'b', 'c', 'd', 'e');
    fc.assert(
      fc.property(fc.dictionary(server, fc.nat(50)), fc.nat(100), (entries, max) => {
        const total = Object.values(entries).reduce((sum, count) => sum + count, 0);
        const gone = chosen(entries, max);
        const left = Object.fromEntries(Object.entries(entries).map(([key, count]) => [key, count - (gone[key] ?? 0)]));
        expect(Object.values(left).reduce((sum, count) => sum + count, 0)).toBe(Math.min(total, max));
        const most = Math.max(0, ...Object.values(left));
        for (const key of Object.keys(gone)) expect(left[key]).toBeGreaterThanOrEqual(most - 1);
      }),
      { numRuns: propertyRuns(200) },
    );
  });
});

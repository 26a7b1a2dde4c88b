import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RecentlyUsed } from '../../../src/base/recently-used.ts';
import { propertyRuns } from '../../support/property-runs.ts';

function filled(max: number, keys: readonly number[]): RecentlyUsed<number, string> {
  const memory = new RecentlyUsed<number, string>({ max });
  for (const key of keys) memory.set(key, `v${key}`);
  return memory;
}

describe('what was used last', () => {
  it('is found again, and nothing else is', () => {
    const memory = filled(4, [1, 2]);
    expect(memory.get(1)).toBe('v1');
    expect(memory.has(2)).toBe(true);
    expect(memory.get(3)).toBeUndefined();
  });

  it('is kept by a look as by a change', () => {
    const memory = filled(4, [1, 2, 3]);
    memory.get(1);
    memory.set(4, 'v4');
    memory.set(5, 'v5');
    expect(memory.get(1)).toBe('v1');
    expect(memory.get(2)).toBeUndefined();
  });

  it('has the value that was set last, also when an older one stood in the half that is let go next', () => {
    const memory = filled(4, [1, 2, 3]);
    memory.set(1, 'new');
    expect(memory.get(1)).toBe('new');
    memory.delete(1);
    expect(memory.get(1)).toBeUndefined();
  });

  it('forgets all that a condition names', () => {
    const memory = filled(6, [1, 2, 3, 4]);
    memory.deleteWhere((value, key) => value === 'v1' || key === 4);
    expect([1, 2, 3, 4].filter((key) => memory.has(key))).toEqual([2, 3]);
  });

  it('is at least half of the maximum and at most all of it', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 12 }), fc.array(fc.integer({ min: 0, max: 30 })), (max, keys) => {
        const memory = filled(max, keys);
        let found = 0;
        // Without a look that would move it.
        memory.deleteWhere(() => {
          found += 1;
          return false;
        });
        expect(found).toBeLessThanOrEqual(max);
        const lastUsed = [...new Set([...keys].reverse())].slice(0, Math.floor(max / 2));
        for (const key of lastUsed) expect(memory.get(key)).toBe(`v${key}`);
      }),
      { numRuns: propertyRuns(200) },
    );
  });
});

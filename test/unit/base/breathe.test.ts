import { afterEach, describe, expect, it, vi } from 'vitest';
import { breathe, filterInTurns, loopTurn } from '../../../src/base/breathe.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { Turn } from '../../../src/storage/sqlite/core/turn.ts';

/** Each look at the clock costs so much. */
function stepBy(stepMs: number): void {
  let passedMs = 0;
  vi.spyOn(systemClock, 'monotonic').mockImplementation(() => {
    passedMs += stepMs;
    return passedMs;
  });
}

const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));

afterEach(async () => {
  vi.restoreAllMocks();
  await nextTurn();
});

describe('a long list that is filtered', () => {
  it('lets others run every some hundred items while the turn is spent', async () => {
    stepBy(20);
    let turns = 0;
    let isOver = false;
    const tick = (): void => {
      turns += 1;
      if (!isOver) setImmediate(tick);
    };
    setImmediate(tick);
    await breathe();
    const seen = new Set<number>();
    const items = Array.from({ length: 2_000 }, (_, n) => n);
    const even = await filterInTurns(items, (item) => {
      seen.add(turns);
      return item % 2 === 0;
    });
    isOver = true;
    expect(even).toEqual(items.filter((item) => item % 2 === 0));
    expect(seen.size).toBeGreaterThanOrEqual(4);
  });

  it('is through at once where it is short', async () => {
    stepBy(20);
    let others = 0;
    setImmediate(() => {
      others += 1;
    });
    expect(await filterInTurns([1, 2, 3], (item) => item > 1)).toEqual([2, 3]);
    expect(others).toBe(0);
  });
});

describe('a turn of the event loop', () => {
  it('is one for storage and for all who work beside it', async () => {
    const storage = new Turn(loopTurn);
    stepBy(6);
    let others = 0;
    setImmediate(() => {
      others += 1;
    });
    // Each of them has had half a turn, which together is one.
    await breathe();
    await storage.giveWay();
    expect(others).toBe(0);
    await breathe();
    expect(others).toBe(1);
  });
});

describe('a loop that breathes', () => {
  it('runs on while the turn is young', async () => {
    stepBy(0);
    let others = 0;
    setImmediate(() => {
      others += 1;
    });
    for (let item = 0; item < 1_000; item += 1) await breathe();
    expect(others).toBe(0);
  });

  it('lets others run when the turn has lasted 10 ms', async () => {
    stepBy(6);
    let others = 0;
    setImmediate(() => {
      others += 1;
    });
    for (let item = 0; item < 3; item += 1) await breathe();
    expect(others).toBe(1);
  });

  it('does not go on together with all the others that waited', async () => {
    stepBy(20);
    const resumed: number[] = [];
    await breathe();
    const waiting = Array.from({ length: 10 }, (_, n) => breathe().then(() => void resumed.push(n)));
    const perTurn: number[] = [];
    while (resumed.length < waiting.length) {
      const before = resumed.length;
      await nextTurn();
      perTurn.push(resumed.length - before);
    }
    expect(Math.max(...perTurn)).toBe(1);
    expect(resumed).toEqual([...resumed].sort((a, b) => a - b));
  });

  it('goes behind those who waited before it when it gives way again', async () => {
    stepBy(20);
    const order: string[] = [];
    const loop = async (name: string, items: number): Promise<void> => {
      for (let item = 0; item < items; item += 1) {
        await breathe();
        order.push(name);
      }
    };
    await breathe();
    await Promise.all([loop('long', 20), loop('short', 2), loop('other', 2)]);
    expect(order.slice(0, 6)).toEqual(['long', 'short', 'other', 'long', 'short', 'other']);
  });
});

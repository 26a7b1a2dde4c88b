import { afterEach, describe, expect, it, vi } from 'vitest';
import { breathe } from '../../../src/base/breathe.ts';
import { systemClock } from '../../../src/base/clock.ts';

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

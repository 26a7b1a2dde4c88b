import { describe, expect, it } from 'vitest';
import { TurnBudget } from '../../../../src/base/turn-budget.ts';
import { Turn } from '../../../../src/storage/sqlite/core/turn.ts';
import { ManualClock } from '../../../support/manual-clock.ts';

describe('a turn of the event loop', () => {
  /** A clock whose every reading costs `stepMs`. */
  const slowClock = (stepMs: number) => {
    const clock = new ManualClock();
    let readMs = 0;
    return {
      ...clock,
      now: () => clock.now(),
      setTimer: clock.setTimer.bind(clock),
      monotonic: () => {
        readMs += stepMs;
        return readMs;
      },
    };
  };

  it('answers at once while it is young', async () => {
    const turn = new Turn(new TurnBudget(new ManualClock(), 10));
    const order: string[] = [];
    setImmediate(() => order.push('others'));
    for (let index = 0; index < 50; index += 1) await turn.read(() => order.push('read'));
    expect(order).not.toContain('others');
    expect(order).toHaveLength(50);
  });

  it('lets others in when it has lasted 10 ms', async () => {
    const turn = new Turn(new TurnBudget(slowClock(4), 10));
    const order: string[] = [];
    setImmediate(() => order.push('others'));
    for (let index = 0; index < 6; index += 1) await turn.read(() => order.push('read'));
    expect(order.slice(0, 4)).toEqual(['read', 'read', 'read', 'others']);
    expect(order.filter((entry) => entry === 'read')).toHaveLength(6);
  });

  it('ends for every one of many that wait', async () => {
    const turn = new Turn(new TurnBudget(slowClock(20), 10));
    const done = await Promise.all(Array.from({ length: 20 }, (_, index) => turn.read(() => index)));
    expect(done).toHaveLength(20);
  });

  it('is given to all who wait, one after the other, also where one of them reads on and on', async () => {
    const turn = new Turn(new TurnBudget(slowClock(20), 10));
    const order: string[] = [];
    const loop = async (name: string, reads: number): Promise<void> => {
      for (let index = 0; index < reads; index += 1) await turn.read(() => order.push(name));
    };
    await Promise.all([loop('long', 20), loop('short', 2)]);
    expect(order.lastIndexOf('short')).toBeLessThanOrEqual(4);
  });

  it('hands on what a read throws', async () => {
    const turn = new Turn(new TurnBudget(new ManualClock(), 10));
    await expect(
      turn.read(() => {
        throw new Error('broken read');
      }),
    ).rejects.toThrow('broken read');
  });
});

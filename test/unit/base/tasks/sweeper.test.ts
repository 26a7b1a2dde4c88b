import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Sweeper } from '../../../../src/base/tasks/sweeper.ts';
import { ManualClock } from '../../../support/manual-clock.ts';

it('hands out each key at its last time, in order, by one timer', async () => {
  const action = fc.record({ key: fc.nat(5), at: fc.option(fc.nat(1_000), { nil: undefined }) });
  await fc.assert(
    fc.asyncProperty(fc.array(action, { maxLength: 100 }), async (actions) => {
      const clock = new ManualClock();
      const due: [number, number][] = [];
      const sweeper = new Sweeper<number>({ clock, onDue: (key) => void due.push([key, clock.monotonic()]) });
      const wanted = new Map<number, number>();
      for (const { key, at } of actions) {
        sweeper.set(key, at);
        if (at === undefined) wanted.delete(key);
        else wanted.set(key, at);
      }
      expect(sweeper.size).toBe(wanted.size);
      expect(clock.pendingCount).toBeLessThanOrEqual(1);
      await clock.advance(1_000);
      const byTime = (a: readonly number[], b: readonly number[]) =>
        (a[1] ?? 0) - (b[1] ?? 0) || (a[0] ?? 0) - (b[0] ?? 0);
      expect(due.map(([, at]) => at)).toEqual([...due.map(([, at]) => at)].sort((a, b) => a - b));
      expect([...due].sort(byTime)).toEqual([...wanted].sort(byTime));
    }),
    { numRuns: 30 },
  );
});

it('takes what is further away than a timer of the machine counts', async () => {
  const clock = new ManualClock();
  const due: number[] = [];
  const sweeper = new Sweeper<string>({ clock, onDue: () => void due.push(clock.monotonic()) });
  const month = 30 * 86_400_000;
  sweeper.set('x', month);
  await clock.advance(month - 1);
  expect(due).toEqual([]);
  await clock.advance(1);
  expect(due).toEqual([month]);
});

it('fires nothing any more once it is stopped', async () => {
  const clock = new ManualClock();
  const due: string[] = [];
  const sweeper = new Sweeper<string>({ clock, onDue: (key) => void due.push(key) });
  sweeper.set('x', 5);
  sweeper.stop();
  sweeper.set('y', 5);
  await clock.advance(10);
  expect(due).toEqual([]);
  expect(clock.pendingCount).toBe(0);
});

it('hands a key out again at the time it is given meanwhile, and not one that is taken away', async () => {
  const clock = new ManualClock();
  const due: string[] = [];
  const sweeper: Sweeper<string> = new Sweeper<string>({
    clock,
    onDue: (key) => {
      due.push(`${key} ${clock.monotonic()} ${sweeper.timeOf(key)}`);
      if (key === 'again' && clock.monotonic() < 25) sweeper.set(key, clock.monotonic() + 10);
      if (key === 'away') {
        sweeper.set('other', undefined);
        sweeper.set(key, 30);
        sweeper.set(key, undefined);
      }
    },
  });
  sweeper.set('again', 10);
  sweeper.set('away', 15);
  sweeper.set('other', 40);
  sweeper.set('later', 5);
  sweeper.set('later', 35);
  await clock.advance(50);
  expect(due).toEqual([
    'again 10 undefined',
    'away 15 undefined',
    'again 20 undefined',
    'again 30 undefined',
    'later 35 undefined',
  ]);
  expect(sweeper.size).toBe(0);
  expect(clock.pendingCount).toBe(0);
});

import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../support/manual-clock.ts';

describe('the clock that tests move', () => {
  it('fires what is due in the order of time, each at its moment', async () => {
    const clock = new ManualClock(1_000);
    const fired: [string, number][] = [];
    clock.setTimer(20, () => fired.push(['second', clock.now()]));
    clock.setTimer(10, () => fired.push(['first', clock.now()]));
    clock.setTimer(31, () => fired.push(['later', clock.now()]));
    await clock.advance(30);
    expect(fired).toEqual([
      ['first', 1_010],
      ['second', 1_020],
    ]);
    expect([clock.now(), clock.monotonic()]).toEqual([1_030, 30]);
    expect(clock.pendingCount).toBe(1);
  });

  it('fires what is set meanwhile, if it falls due', async () => {
    const clock = new ManualClock();
    const fired: string[] = [];
    clock.setTimer(10, () => {
      fired.push('outer');
      clock.setTimer(5, () => fired.push('inner'));
      clock.setTimer(50, () => fired.push('too late'));
    });
    await clock.advance(20);
    expect(fired).toEqual(['outer', 'inner']);
  });

  it('lets promises settle between two timers', async () => {
    const clock = new ManualClock();
    const order: string[] = [];
    clock.setTimer(1, () => void Promise.resolve().then(() => setImmediate(() => order.push('settled'))));
    clock.setTimer(2, () => order.push('next'));
    await clock.advance(5);
    expect(order).toEqual(['settled', 'next']);
  });

  it('fires nothing that was cleared, and nothing when only the hour is set', async () => {
    const clock = new ManualClock(0);
    const fired: string[] = [];
    clock.setTimer(5, () => fired.push('cleared')).clear();
    clock.setTimer(5, () => fired.push('kept'));
    clock.step(100);
    await clock.advance(4);
    expect(fired).toEqual([]);
    expect([clock.now(), clock.monotonic()]).toEqual([104, 4]);
  });
});

import { describe, expect, it } from 'vitest';
import type { DeviceId, UserId } from '../../../src/matrix/ids.ts';
import { AnswerWindows } from '../../../src/sync/answer-windows.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const alice = '@alice:a' as UserId;
const phone = 'PHONE' as DeviceId;
const laptop = 'LAPTOP' as DeviceId;

function setUp(lengths = { quietMs: 50, busyMs: 100 }) {
  const clock = new ManualClock();
  const load = { share: 0.1 };
  return { clock, load, windows: new AnswerWindows({ clock, lengths, loopShare: () => load.share }) };
}

describe('the window of a device', () => {
  it('is open until it was answered, and again when its time is over', async () => {
    const { clock, windows } = setUp();
    expect(windows.opensAtMs(alice, phone)).toBeUndefined();
    windows.answered(alice, phone);
    expect(windows.opensAtMs(alice, phone)).toBe(clock.monotonic() + 50);
    await clock.advance(49);
    expect(windows.opensAtMs(alice, phone)).toBe(clock.monotonic() + 1);
    await clock.advance(1);
    expect(windows.opensAtMs(alice, phone)).toBeUndefined();
  });

  it('is its own: another device of the user is answered at once', () => {
    const { windows } = setUp();
    windows.answered(alice, phone);
    expect(windows.opensAtMs(alice, laptop)).toBeUndefined();
  });

  it('is longer while very many are answered, and as short as before when that is over', async () => {
    const { clock, windows } = setUp();
    for (let n = 0; n < 1_000; n += 1) windows.answered(`@user${n}:a` as UserId, phone);
    windows.answered(alice, phone);
    expect(windows.opensAtMs(alice, phone)).toBe(clock.monotonic() + 100);
    await clock.advance(3_000);
    windows.answered(alice, phone);
    expect(windows.opensAtMs(alice, phone)).toBe(clock.monotonic() + 50);
  });

  it('is never closed where its length is zero', () => {
    const { windows } = setUp({ quietMs: 0, busyMs: 0 });
    windows.answered(alice, phone);
    expect(windows.opensAtMs(alice, phone)).toBeUndefined();
  });

  it('grows to twice its length while the process has hardly time, and shrinks to what it was', async () => {
    const { clock, load, windows } = setUp();
    const lengthAfterSeconds = async (seconds: number): Promise<number> => {
      for (let second = 0; second < seconds; second += 1) {
        await clock.advance(1_000);
        for (let n = 0; n < 1_000; n += 1) windows.answered(alice, phone);
      }
      return (windows.opensAtMs(alice, phone) ?? 0) - clock.monotonic();
    };
    expect(await lengthAfterSeconds(1)).toBe(100);
    load.share = 0.7;
    expect(await lengthAfterSeconds(1)).toBe(125);
    expect(await lengthAfterSeconds(20)).toBe(200);
    load.share = 0.5;
    expect(await lengthAfterSeconds(20)).toBe(200);
    load.share = 0.3;
    expect(await lengthAfterSeconds(1)).toBe(160);
    expect(await lengthAfterSeconds(20)).toBe(100);
  });
});

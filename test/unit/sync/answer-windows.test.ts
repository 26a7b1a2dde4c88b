import { describe, expect, it } from 'vitest';
import type { DeviceId, UserId } from '../../../src/matrix/ids.ts';
import { AnswerWindows } from '../../../src/sync/answer-windows.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const alice = '@alice:a' as UserId;
const phone = 'PHONE' as DeviceId;
const laptop = 'LAPTOP' as DeviceId;

function setUp(lengths = { quietMs: 50, busyMs: 100 }) {
  const clock = new ManualClock();
  return { clock, windows: new AnswerWindows({ clock, lengths }) };
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
});

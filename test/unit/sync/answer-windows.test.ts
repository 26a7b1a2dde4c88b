import { describe, expect, it } from 'vitest';
import type { DeviceId, UserId } from '../../../src/matrix/ids.ts';
import { AnswerWindows } from '../../../src/sync/answer-windows.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const alice = '@alice:a' as UserId;
const phone = 'PHONE' as DeviceId;
const laptop = 'LAPTOP' as DeviceId;

function setUp(lengths = { quietMs: 50, busyMs: 100 }) {
  const clock = new ManualClock();
  const windows = new AnswerWindows({ clock, lengths });
  const opened: string[] = [];
  const note = (name: string, userId: UserId, deviceId: DeviceId): void => {
    void windows.untilOpen(userId, deviceId)?.then(() => opened.push(name));
  };
  return { clock, windows, opened, note };
}

describe('the window of a device', () => {
  it('is open until it was answered, and again when its time is over', async () => {
    const { clock, windows } = setUp();
    expect(windows.untilOpen(alice, phone)).toBeUndefined();
    windows.answered(alice, phone);
    expect(windows.untilOpen(alice, phone)).toBeInstanceOf(Promise);
    await clock.advance(50);
    expect(windows.untilOpen(alice, phone)).toBeUndefined();
  });

  it('opens at its end and not before', async () => {
    const { clock, windows, opened, note } = setUp();
    windows.answered(alice, phone);
    await clock.advance(20);
    note('phone', alice, phone);
    await clock.advance(29);
    expect(opened).toEqual([]);
    await clock.advance(1);
    expect(opened).toEqual(['phone']);
  });

  it('is its own: another device of the user is answered at once', () => {
    const { windows } = setUp();
    windows.answered(alice, phone);
    expect(windows.untilOpen(alice, laptop)).toBeUndefined();
  });

  it('is longer while very many are answered, and as short as before when that is over', async () => {
    const { clock, windows, opened, note } = setUp();
    for (let n = 0; n < 1_000; n += 1) windows.answered(`@user${n}:a` as UserId, phone);
    windows.answered(alice, phone);
    note('busy', alice, phone);
    await clock.advance(99);
    expect(opened).toEqual([]);
    await clock.advance(1);
    expect(opened).toEqual(['busy']);
    await clock.advance(3_000);
    windows.answered(alice, phone);
    note('quiet', alice, phone);
    await clock.advance(50);
    expect(opened).toEqual(['busy', 'quiet']);
  });

  it('needs one timer for all that end together, and none afterwards', async () => {
    const { clock, windows, opened, note } = setUp();
    for (let n = 0; n < 100; n += 1) {
      windows.answered(`@user${n}:a` as UserId, phone);
      note(`${n}`, `@user${n}:a` as UserId, phone);
    }
    expect(clock.pendingCount).toBe(1);
    await clock.advance(50);
    expect(opened).toHaveLength(100);
    expect(clock.pendingCount).toBe(0);
  });

  it('is never closed where its length is zero', () => {
    const { windows } = setUp({ quietMs: 0, busyMs: 0 });
    windows.answered(alice, phone);
    expect(windows.untilOpen(alice, phone)).toBeUndefined();
  });

  it('opens when the server stops, and stays open', async () => {
    const { clock, windows, opened, note } = setUp();
    windows.answered(alice, phone);
    note('phone', alice, phone);
    windows.stop();
    await clock.advance(0);
    expect(opened).toEqual(['phone']);
    expect(windows.untilOpen(alice, phone)).toBeUndefined();
    expect(clock.pendingCount).toBe(0);
  });
});

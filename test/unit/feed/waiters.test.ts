import { describe, expect, it, vi } from 'vitest';
import { createWaiters } from '../../../src/feed/waiters.ts';
import type { UserId } from '../../../src/matrix/ids.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const alice = '@alice:here.test' as UserId;
const bob = '@bob:here.test' as UserId;

function setUp() {
  const clock = new ManualClock();
  const waiters = createWaiters({ clock });
  const results: string[] = [];
  const wait = (name: string, userId: UserId, timeoutMs: number, signal = new AbortController().signal) => {
    void waiters.wait(waiters.ticket(userId), { timeoutMs, signal }).then((woken) => results.push(`${name} ${woken}`));
  };
  const waitHeld = (name: string, userId: UserId, how: { heldMs: number; isWoken?: boolean }) => {
    const { signal } = new AbortController();
    const notBeforeMs = clock.monotonic() + how.heldMs;
    void waiters
      .wait(waiters.ticket(userId), { timeoutMs: 30_000, signal, notBeforeMs, isWoken: how.isWoken ?? false })
      .then((woken) => results.push(`${name} ${woken}`));
  };
  return { clock, waiters, results, wait, waitHeld };
}

describe('waiters', () => {
  it('wake every wait of the user and nobody else', async () => {
    const { clock, waiters, results, wait } = setUp();
    wait('phone', alice, 30_000);
    wait('laptop', alice, 30_000);
    wait('bob', bob, 30_000);
    waiters.wake(alice);
    await clock.advance(10);
    expect(results.sort()).toEqual(['laptop true', 'phone true']);
  });

  it('end a wait at once when the wake came between its ticket and it', async () => {
    const { waiters } = setUp();
    const ticket = waiters.ticket(alice);
    waiters.wake(alice);
    expect(await waiters.wait(ticket, { timeoutMs: 30_000, signal: new AbortController().signal })).toBe(true);
  });

  it('let a wait run when the wake was behind an earlier ticket only', async () => {
    const { clock, waiters, results, wait } = setUp();
    waiters.wake(alice);
    wait('phone', alice, 30_000);
    await clock.advance(20_000);
    expect(results).toEqual([]);
  });

  it('end a wait with false when its time is over', async () => {
    const { clock, results, wait } = setUp();
    wait('short', alice, 300);
    wait('long', bob, 30_000);
    await clock.advance(299);
    expect(results).toEqual([]);
    await clock.advance(1);
    expect(results).toEqual(['short false']);
    await clock.advance(29_000);
    expect(results).toEqual(['short false']);
    await clock.advance(700);
    expect(results).toEqual(['short false', 'long false']);
  });

  it('end together when they are long and end within half a second, each at most so much early', async () => {
    const { clock, results, wait } = setUp();
    await clock.advance(60);
    wait('first', alice, 30_000);
    await clock.advance(400);
    wait('second', bob, 30_000);
    await clock.advance(29_539);
    expect(results).toEqual([]);
    await clock.advance(1);
    expect(results).toEqual(['first false', 'second false']);
  });

  it('end when they should when they are short', async () => {
    const { clock, results, wait } = setUp();
    await clock.advance(60);
    wait('short', alice, 999);
    wait('long', bob, 1_000);
    await clock.advance(998);
    expect(results).toEqual(['long false']);
    await clock.advance(1);
    expect(results).toEqual(['long false', 'short false']);
  });

  it('all end however many end at one moment', async () => {
    const { clock, results, wait } = setUp();
    for (let index = 0; index < 2_000; index += 1) wait(`${index}`, `@u${index}:here.test` as UserId, 30_000);
    await clock.advance(30_000);
    await vi.waitFor(() => expect(results).toHaveLength(2_000));
  });

  it('end in the order of their times, whatever the order in which they began', async () => {
    const { clock, results, wait } = setUp();
    wait('third', alice, 3_000);
    wait('first', alice, 1_000);
    wait('second', alice, 2_000);
    await clock.advance(3_000);
    expect(results).toEqual(['first false', 'second false', 'third false']);
  });

  it('share one timer however many wait, and leave none behind', async () => {
    const { clock, waiters, wait } = setUp();
    for (let index = 0; index < 500; index += 1) wait(`${index}`, `@u${index}:here.test` as UserId, 30_000 + index);
    expect(clock.pendingCount).toBe(1);
    for (let index = 0; index < 500; index += 1) waiters.wake(`@u${index}:here.test` as UserId);
    await clock.advance(31_000);
    expect(clock.pendingCount).toBe(0);
  });

  it('end with false when the caller goes away, before or during the wait', async () => {
    const { clock, results, wait } = setUp();
    const caller = new AbortController();
    wait('during', alice, 30_000, caller.signal);
    await clock.advance(0);
    caller.abort();
    wait('before', alice, 30_000, caller.signal);
    await clock.advance(0);
    expect(results.sort()).toEqual(['before false', 'during false']);
  });

  it('do not wait when there is no time to', async () => {
    const { waiters } = setUp();
    expect(await waiters.wait(waiters.ticket(alice), { timeoutMs: 0, signal: new AbortController().signal })).toBe(
      false,
    );
  });

  it('end the oldest wait of a user who has too many, and keep those of others', async () => {
    const { clock, results, wait } = setUp();
    wait('bob', bob, 30_000);
    for (let index = 0; index < 33; index += 1) wait(`alice${index}`, alice, 30_000);
    await clock.advance(0);
    expect(results).toEqual(['alice0 false']);
  });

  it('all end at the stop, and none begins behind it', async () => {
    const { clock, waiters, results, wait } = setUp();
    wait('alice', alice, 30_000);
    wait('bob', bob, 500);
    waiters.stop();
    wait('late', alice, 30_000);
    await clock.advance(0);
    expect(results.sort()).toEqual(['alice false', 'bob false', 'late false']);
    expect(clock.pendingCount).toBe(0);
  });

  it('are held by what woke them too early, once, until they may end', async () => {
    const { clock, waiters, results, waitHeld } = setUp();
    waitHeld('phone', alice, { heldMs: 50 });
    await clock.advance(20);
    waiters.wake(alice);
    waiters.wake(alice);
    await clock.advance(29);
    expect(results).toEqual([]);
    await clock.advance(1);
    expect(results).toEqual(['phone true']);
  });

  it('end at once when they are woken after that moment, and by their time when nobody wakes them', async () => {
    const { clock, waiters, results, waitHeld } = setUp();
    waitHeld('woken', alice, { heldMs: 50 });
    waitHeld('left alone', bob, { heldMs: 50 });
    await clock.advance(60);
    expect(results).toEqual([]);
    waiters.wake(alice);
    await clock.advance(0);
    expect(results).toEqual(['woken true']);
    await clock.advance(30_000);
    expect(results).toEqual(['woken true', 'left alone false']);
  });

  it('end when they may where there is something to tell already', async () => {
    const { clock, results, waitHeld } = setUp();
    waitHeld('now', alice, { heldMs: 0, isWoken: true });
    waitHeld('later', bob, { heldMs: 50, isWoken: true });
    await clock.advance(0);
    expect(results).toEqual(['now true']);
    await clock.advance(50);
    expect(results).toEqual(['now true', 'later true']);
  });

  it('end at the stop and with their caller while they are held', async () => {
    const { clock, waiters, results, waitHeld } = setUp();
    waitHeld('phone', alice, { heldMs: 50 });
    waiters.wake(alice);
    waiters.stop();
    await clock.advance(100);
    expect(results).toEqual(['phone false']);
    expect(clock.pendingCount).toBe(0);
  });
});

import { describe, expect, it } from 'vitest';
import type { UserId } from '../../../src/matrix/ids.ts';
import { Quota, type Reservation } from '../../../src/media/core/quota.ts';

const alice = '@alice:a.test' as UserId;
const bob = '@bob:a.test' as UserId;

function quotaOf(bytesMax: number | null, stored = 0) {
  const state = { stored, beforeSum: (): void => {} };
  const sum = async (user: UserId) => {
    const now = user === alice ? state.stored : 0;
    await Promise.resolve();
    state.beforeSum();
    return now;
  };
  return { state, quota: new Quota({ bytesMax, sum }) };
}

const opened = (outcome: unknown): Reservation => {
  if (typeof outcome !== 'object' || outcome === null) throw new Error(`not reserved: ${String(outcome)}`);
  return outcome as Reservation;
};

describe('a quota', () => {
  it('counts what is under way, so that many at once get no more than one after another', async () => {
    const { quota } = quotaOf(100);
    const outcomes = await Promise.all(Array.from({ length: 8 }, () => quota.reserve(alice, 30, 50)));
    expect(outcomes.filter((outcome) => outcome === 'taken for now')).toHaveLength(5);
    expect(opened(await quota.reserve(bob, 50, 50)).bytes).toBe(50);
    opened(outcomes[0]).release();
    expect(opened(await quota.reserve(alice, 40, 50)).bytes).toBe(40);
  });

  it('gives a content of unknown length what is left, and no more than one content may have', async () => {
    const { quota } = quotaOf(100, 20);
    const first = opened(await quota.reserve(alice, undefined, 50));
    expect(first.bytes).toBe(50);
    expect(opened(await quota.reserve(alice, undefined, 50)).bytes).toBe(30);
    expect(await quota.reserve(alice, undefined, 50)).toBe('taken for now');
    first.release();
    expect(opened(await quota.reserve(alice, undefined, 50)).bytes).toBe(50);
  });

  it('is full where what is stored leaves too little', async () => {
    const { quota } = quotaOf(100, 90);
    expect(await quota.reserve(alice, 11, 50)).toBe('full');
    expect(opened(await quota.reserve(alice, 10, 50)).bytes).toBe(10);
    expect(await quotaOf(100, 100).quota.reserve(alice, undefined, 50)).toBe('full');
    expect(await quotaOf(0).quota.reserve(alice, 1, 50)).toBe('full');
    expect(opened(await quotaOf(null).quota.reserve(alice, 10, 50)).bytes).toBe(50);
  });

  it('asks again for what is stored when something became it meanwhile', async () => {
    const { quota, state } = quotaOf(100);
    const first = opened(await quota.reserve(alice, 80, 100));
    state.beforeSum = () => {
      state.beforeSum = () => {};
      state.stored = 80;
      first.release();
    };
    expect(await quota.reserve(alice, 30, 100)).toBe('full');
    expect(opened(await quota.reserve(alice, 20, 100)).bytes).toBe(20);
  });
});

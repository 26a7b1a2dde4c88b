import { describe, expect, it } from 'vitest';
import { RateLimit } from '../../../src/base/rate-limit.ts';
import { ManualClock } from '../../support/manual-clock.ts';

function limit(options: { keysMax?: number } = {}) {
  const clock = new ManualClock();
  return { clock, limit: new RateLimit({ clock, points: 3, windowMs: 1_000, ...options }) };
}

const allowed = { outcome: 'allowed' };

describe('a rate limit', () => {
  it('allows so many in a window and says when the next is', async () => {
    const { clock, limit: uses } = limit();
    for (let use = 0; use < 3; use += 1) expect(await uses.use('a')).toEqual(allowed);
    await clock.advance(400);
    expect(await uses.use('a')).toEqual({ outcome: 'limited', retryAfterMs: 600 });
    await clock.advance(599);
    expect(await uses.use('a')).toEqual({ outcome: 'limited', retryAfterMs: 1 });
    await clock.advance(1);
    expect(await uses.use('a')).toEqual(allowed);
  });

  it('counts each key by itself', async () => {
    const { limit: uses } = limit();
    for (let use = 0; use < 4; use += 1) await uses.use('a');
    expect(await uses.use('b')).toEqual(allowed);
  });

  it('counts a cost, and nothing for what it refused', async () => {
    const { limit: uses } = limit();
    expect(await uses.use('a', 2)).toEqual(allowed);
    expect(await uses.use('a', 2)).toMatchObject({ outcome: 'limited' });
    expect(await uses.use('a', 1)).toEqual(allowed);
    expect(await uses.use('a', 1)).toMatchObject({ outcome: 'limited' });
  });

  it('takes back what counts for nothing, and never more than was used', async () => {
    const { clock, limit: uses } = limit();
    for (let use = 0; use < 3; use += 1) await uses.use('a');
    await uses.giveBack('a');
    expect(await uses.use('a')).toEqual(allowed);
    expect(await uses.use('a')).toMatchObject({ outcome: 'limited' });
    await uses.giveBack('never used');
    await clock.advance(1_000);
    await uses.use('late');
    for (let use = 0; use < 2; use += 1) expect(await uses.use('late')).toEqual(allowed);
    expect(await uses.use('late')).toMatchObject({ outcome: 'limited' });
  });

  it('leaves no timers and forgets the key longest unused when there are too many', async () => {
    const { clock, limit: uses } = limit({ keysMax: 2 });
    for (let use = 0; use < 4; use += 1) await uses.use('a');
    await uses.use('b');
    expect(await uses.use('a')).toMatchObject({ outcome: 'limited' });
    await uses.use('c');
    await uses.use('d');
    expect(await uses.use('a')).toEqual(allowed);
    expect(clock.pendingCount).toBe(0);
  });
});

import { afterEach, describe, expect, it, vi } from 'vitest';
import { breathe } from '../../../../src/base/breathe.ts';
import { systemClock } from '../../../../src/base/clock.ts';
import type { UserId } from '../../../../src/matrix/ids.ts';
import type { ServerName } from '../../../../src/matrix/server-name.ts';
import { Destination } from '../../../../src/presence/sending/destination.ts';
import { ParcelBuilder, type ParcelBuilderDeps } from '../../../../src/presence/sending/parcel.ts';
import { ManualClock } from '../../../support/manual-clock.ts';

const builder = new ParcelBuilder({
  tracker: { find: () => undefined },
  roster: { roomsOf: () => new Set(), usersOfServerIn: () => new Set() },
  // Of what is taken back nobody is asked who sees it.
  now: { facts: {}, roomsOf: () => new Set() } as unknown as ParcelBuilderDeps['now'],
  clock: new ManualClock(),
  isOpen: () => false,
  isAnnouncementDue: () => false,
});

afterEach(async () => {
  vi.restoreAllMocks();
  // The next one begins in a turn that has all its time left.
  await new Promise((resolve) => setImmediate(resolve));
});

describe('parcels for many servers that came due together', () => {
  it('are built with turns for others between them, although each holds little', async () => {
    let passedMs = 0;
    vi.spyOn(systemClock, 'monotonic').mockImplementation(() => {
      passedMs += 20;
      return passedMs;
    });
    await breathe();
    const subject = '@subject:here' as UserId;
    const builtPerTurn: number[] = [0];
    let isOver = false;
    const tick = (): void => {
      builtPerTurn.push(0);
      if (!isOver) setImmediate(tick);
    };
    setImmediate(tick);
    const parcels = await Promise.all(
      Array.from({ length: 10 }, async (_, n) => {
        const entry = new Destination();
        entry.narrow(subject, { generation: 1, lastActiveAtMs: 0, asOf: 0 });
        const built = await builder.build(`server${n}.test` as ServerName, entry, 100);
        builtPerTurn.push((builtPerTurn.pop() ?? 0) + 1);
        return built;
      }),
    );
    isOver = true;
    expect(parcels.map(({ done }) => done.map((group) => group.subject))).toEqual(parcels.map(() => [subject]));
    expect(Math.max(...builtPerTurn)).toBe(1);
  });
});

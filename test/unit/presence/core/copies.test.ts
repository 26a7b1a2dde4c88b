import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileGlob } from '../../../../src/base/glob.ts';
import type { UserId } from '../../../../src/matrix/ids.ts';
import {
  applyUpdate,
  type Copy,
  everybody,
  findGoverning,
  type Recipients,
  readRecipients,
  type Viewpoint,
} from '../../../../src/presence/core/copies.ts';
import { isBlank, type Shown, shownOffline } from '../../../../src/presence/core/shown.ts';
import { propertyRuns } from '../../../support/property-runs.ts';

const users = ['@a:h', '@b:h', '@ab:h', '@c:h'] as UserId[];
const online: Shown = { state: 'online', statusMsg: null, currentlyActive: false };
const isGone = ({ state }: Shown) => state === 'offline';
const gone: Shown = { state: 'offline', statusMsg: 'gone', currentlyActive: false };

function recipients(entries: readonly string[] | null): Recipients {
  if (entries === null) return everybody;
  return readRecipients(entries);
}

function update(shown: Shown, entries: readonly string[] | null, at = 0): Omit<Copy, 'changedAt'> {
  return {
    shown,
    activeAt: at,
    recipients: recipients(entries),
    receivedAt: at,
    expiresAt: shown.state === 'offline' ? null : at + 100,
  };
}

describe('copies', () => {
  const entry = fc.constantFrom<string>(...users, '@a*', '@*b:h');
  const step = fc.record({
    shown: fc.constantFrom(online, gone, shownOffline, { ...online, statusMsg: 'x' }),
    entries: fc.oneof(
      fc.constant<string[] | null>(null),
      fc.constant<string[] | null>(['@*']),
      fc.uniqueArray(entry, { minLength: 1, maxLength: 3 }),
    ),
    wait: fc.constantFrom(0, 1, 60, 200),
  });

  it('tell each viewer what the last update that named them told, until it expires', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        let now = 0;
        let copies: readonly Copy[] = [];
        const told = new Map<string, { shown: Shown; at: number }>();
        const views = users.flatMap((viewer) => [true, false].map((shares) => ({ viewer, shares })));
        const keyOf = ({ viewer, shares }: Viewpoint) => `${viewer} ${shares}`;
        for (const { shown, entries, wait } of steps) {
          now += wait;
          copies = applyUpdate(copies, update(shown, entries, now)).copies;
          // Without a list an update is for who shares a room; that the subject has gone is for everybody, but not the status.
          const isNamed = ({ viewer, shares }: Viewpoint) =>
            entries === null ? shares || shown.state === 'offline' : entries.some((text) => compileGlob(text)(viewer));
          const tells = ({ shares }: Viewpoint) => (entries === null && !shares ? shownOffline : shown);
          for (const view of views)
            if (isNamed(view)) told.set(keyOf(view), { shown: isGone(shown) ? tells(view) : shown, at: now });
          for (const view of views) {
            const last = told.get(keyOf(view));
            const holds = last && !isBlank(last.shown) && (last.shown.state === 'offline' || now < last.at + 100);
            expect([view, findGoverning(copies, view, now)?.shown]).toEqual([view, holds ? last.shown : undefined]);
          }
        }
      }),
      { numRuns: propertyRuns(1_000) },
    );
  });

  it('that are equal are renewed', () => {
    const first = applyUpdate([], update(online, ['@a:h'], 0));
    expect(first.renewed).toBe(false);
    const second = applyUpdate(first.copies, update({ ...online }, ['@a:h'], 50));
    expect(second.renewed).toBe(true);
    expect(second.copies).toMatchObject([{ changedAt: 0, expiresAt: 150 }]);
    expect(applyUpdate(first.copies, update(online, ['@b:h'], 50)).renewed).toBe(false);
    expect(applyUpdate(first.copies, update(gone, ['@a:h'], 50)).renewed).toBe(false);
  });

  it('of the chunks of one update are one', () => {
    let copies: readonly Copy[] = [];
    for (const user of users) copies = applyUpdate(copies, update(online, [user], 0)).copies;
    expect(copies).toHaveLength(1);
    expect(copies[0]?.recipients.users).toEqual(new Set(users));
    expect(applyUpdate(copies, update(online, ['@d:h'], 1)).copies).toHaveLength(2);
  });

  it('leave nothing when all that they cover is erased', () => {
    const { copies } = applyUpdate([], update(online, ['@a:h', '@b:h']));
    expect(applyUpdate(copies, update(shownOffline, null)).copies).toEqual([]);
    expect(applyUpdate(copies, update(shownOffline, ['@a:h', '@b:h'])).copies).toEqual([]);
    expect(applyUpdate([], update(shownOffline, null))).toEqual({ copies: [], renewed: true });
  });

  it('are bounded in number', () => {
    let copies: readonly Copy[] = [];
    for (let index = 0; index < 100; index += 1)
      copies = applyUpdate(copies, update(online, [`@u${index}:h`], index)).copies;
    expect(copies).toHaveLength(64);
    expect(findGoverning(copies, { viewer: '@u0:h' as UserId, shares: true }, 99)).toBeUndefined();
    expect(findGoverning(copies, { viewer: '@u99:h' as UserId, shares: true }, 99)?.shown).toEqual(online);
  });
});

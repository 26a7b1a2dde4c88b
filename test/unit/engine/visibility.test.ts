import { describe, expect, it } from 'vitest';
import { allow, decidePduVerdict, reject } from '../../../src/engine/verdict.ts';
import {
  type HistoryVisibility,
  historyVisibilityOf,
  mayServerViewEvent,
  mayViewEvent,
} from '../../../src/engine/visibility.ts';
import type { MembershipState } from '../../../src/matrix/event-types.ts';

const memberships: MembershipState[] = ['join', 'invite', 'knock', 'leave', 'ban'];

describe('history visibility', () => {
  /** Memberships at the event that see it; then those that see it by having joined since. */
  it.each<[HistoryVisibility, MembershipState[], MembershipState[]]>([
    ['world_readable', memberships, memberships],
    ['shared', ['join'], memberships],
    ['invited', ['join', 'invite'], ['join', 'invite']],
    ['joined', ['join'], ['join']],
  ])('%s is open at the event to %j, and to those who joined since from %j', (visibility, without, withJoin) => {
    const seen = (joinedSince: boolean) =>
      memberships.filter((membership) => mayViewEvent({ before: { visibility, membership }, joinedSince }));
    expect(seen(false)).toEqual(without);
    expect(seen(true)).toEqual(withJoin);
  });

  const visibilities: HistoryVisibility[] = ['world_readable', 'shared', 'invited', 'joined'];

  /** The five rules, as the specification counts them, for one side of an event. */
  function allows(visibility: HistoryVisibility, membership: MembershipState, joinedSince: boolean): boolean {
    if (visibility === 'world_readable' || membership === 'join') return true;
    if (visibility === 'shared') return joinedSince;
    return visibility === 'invited' && membership === 'invite';
  }

  describe.each(visibilities)('that was %s', (from) => {
    it.each(visibilities)('and became %s shows the change to whoever sees what came before or behind it', (to) => {
      for (const membership of memberships) {
        for (const joinedSince of [false, true]) {
          const before = { visibility: from, membership };
          const after = { visibility: to, membership };
          const expected = allows(from, membership, joinedSince) || allows(to, membership, joinedSince);
          expect([membership, joinedSince, mayViewEvent({ before, after, joinedSince })]).toEqual([
            membership,
            joinedSince,
            expected,
          ]);
        }
      }
    });

    it.each(memberships)('shows a user their own step from %s to whatever else', (membership) => {
      for (const next of memberships) {
        for (const joinedSince of [false, true]) {
          const before = { visibility: from, membership };
          const after = { visibility: from, membership: next };
          const expected = allows(from, membership, joinedSince) || allows(from, next, joinedSince);
          expect([next, joinedSince, mayViewEvent({ before, after, joinedSince })]).toEqual([
            next,
            joinedSince,
            expected,
          ]);
        }
      }
    });
  });

  it('always shows users that they joined, and how their stay ended', () => {
    for (const visibility of visibilities) {
      for (const other of memberships) {
        const [joined, otherwise] = [
          { visibility, membership: 'join' as const },
          { visibility, membership: other },
        ];
        expect(mayViewEvent({ before: otherwise, after: joined, joinedSince: false })).toBe(true);
        expect(mayViewEvent({ before: joined, after: otherwise, joinedSince: false })).toBe(true);
      }
    }
  });

  it('looks at both sides of an event that changes the answer', () => {
    const before = { visibility: 'joined', membership: 'leave' } as const;
    expect(mayViewEvent({ before, joinedSince: false })).toBe(false);
    expect(mayViewEvent({ before, after: { ...before, membership: 'join' }, joinedSince: false })).toBe(true);
    expect(mayViewEvent({ before, after: { ...before, visibility: 'world_readable' }, joinedSince: false })).toBe(true);
    expect(mayViewEvent({ before, after: before, joinedSince: true })).toBe(false);
  });

  it('is shared where it is not set or not understood', () => {
    expect(historyVisibilityOf(undefined)).toBe('shared');
    expect(historyVisibilityOf({ history_visibility: 'everyone' })).toBe('shared');
    expect(historyVisibilityOf({ history_visibility: 5 })).toBe('shared');
    expect(historyVisibilityOf({ history_visibility: 'joined' })).toBe('joined');
  });

  it.each<[HistoryVisibility, MembershipState[], boolean]>([
    ['world_readable', memberships, true],
    ['shared', memberships, true],
    ['invited', ['join', 'invite'], false],
    ['joined', ['join'], false],
  ])(
    'that is %s gives a server the event where one of its users is in %j, and where none is: %s',
    (visibility, open, nobody) => {
      expect(mayServerViewEvent(visibility, [])).toBe(nobody);
      for (const membership of memberships) {
        expect([membership, mayServerViewEvent(visibility, [membership])]).toEqual([
          membership,
          open.includes(membership),
        ]);
        expect(mayServerViewEvent(visibility, ['leave', membership, 'ban'])).toBe(open.includes(membership));
      }
    },
  );
});

describe('the verdict on a PDU', () => {
  const checks = { byAuthEvents: allow, byStateBefore: allow, byCurrentState: allow };

  it('is the first check that fails', () => {
    expect(decidePduVerdict(checks)).toEqual({ verdict: 'accepted' });
    expect(decidePduVerdict({ ...checks, byCurrentState: reject('now') })).toEqual({
      verdict: 'soft_failed',
      reason: 'now',
    });
    expect(decidePduVerdict({ ...checks, byStateBefore: reject('then'), byCurrentState: reject('now') })).toEqual({
      verdict: 'rejected',
      reason: 'then',
    });
    expect(decidePduVerdict({ ...checks, byAuthEvents: reject('auth'), byStateBefore: reject('then') })).toEqual({
      verdict: 'rejected',
      reason: 'auth',
    });
  });
});

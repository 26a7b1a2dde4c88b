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

  it('gives a server what one of its users may see', () => {
    expect(mayServerViewEvent('shared', [])).toBe(true);
    expect(mayServerViewEvent('world_readable', [])).toBe(true);
    expect(mayServerViewEvent('joined', ['leave', 'invite'])).toBe(false);
    expect(mayServerViewEvent('joined', ['leave', 'join'])).toBe(true);
    expect(mayServerViewEvent('invited', ['leave', 'invite'])).toBe(true);
    expect(mayServerViewEvent('invited', ['leave', 'ban'])).toBe(false);
  });
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

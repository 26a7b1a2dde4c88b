import { describe, expect, it } from 'vitest';
import type { UserId } from '../../../../src/matrix/ids.ts';
import { type Copy, everybody, readRecipients } from '../../../../src/presence/core/copies.ts';
import type { Shown } from '../../../../src/presence/core/shown.ts';
import { governedIn, newRecord, replaceCopies, type SubjectRecord } from '../../../../src/presence/receiving/record.ts';

const [alice, bob, carol] = ['@alice:h', '@bob:h', '@carol:h'] as [UserId, UserId, UserId];
const online: Shown = { state: 'online', statusMsg: null, currentlyActive: false };

const of = (viewer: UserId) => ({ viewer, shares: true });

/** Told to these alone; null: to everybody. */
function copyFor(entries: readonly string[] | null, at: number): Copy {
  const recipients = entries === null ? everybody : readRecipients(entries);
  return { shown: online, activeAt: at, recipients, expiresAt: null, receivedAt: at, changedAt: at };
}

/** Each was held for one millisecond, the first from the first on. */
function recordOf(lists: readonly (readonly string[] | null)[]): SubjectRecord {
  const record = newRecord(0);
  for (const [at, list] of lists.entries()) replaceCopies(record, [copyFor(list, at)], at);
  return record;
}

describe('what was held of a subject', () => {
  it('is known exactly for a while: who was told anything in a span, and who was not', () => {
    const record = recordOf([[alice], [bob], [alice]]);
    const inSpan = (viewer: UserId, from: number, to: number) => governedIn(record, of(viewer), { from, to });
    expect(inSpan(alice, 0.2, 0.8)).toBe(true);
    expect(inSpan(bob, 0.2, 0.8)).toBe(false);
    expect(inSpan(alice, 1.2, 1.8)).toBe(false);
    expect(inSpan(bob, 1.2, 1.8)).toBe(true);
    expect(inSpan(bob, 2.2, 9)).toBe(false);
    for (const viewer of [alice, bob]) expect(inSpan(viewer, 0.5, 1.5)).toBe(true);
  });

  it('is bounded however often it changes, and then not known of whom anything was ever told', () => {
    const others = Array.from({ length: 1_000 }, (_, index) => [`@u${index}:h`]);
    const record = recordOf([[alice], ...others, [bob], [bob, '@x:h']]);
    expect(record.past.length + record.older.length).toBeLessThan(20);
    const longAgo = { from: 0.2, to: 0.8 };
    expect(governedIn(record, of(alice), longAgo)).toBeUndefined();
    expect(governedIn(record, of(carol), longAgo)).toBe(false);
    expect(governedIn(record, of(carol), { from: 500, to: 501 })).toBe(false);
    expect(governedIn(record, of(bob), { from: 1_001.5, to: 9_999 })).toBe(true);
  });

  it('is not known of anybody behind more names than are remembered', () => {
    const others = Array.from({ length: 60 }, (_, index) =>
      Array.from({ length: 300 }, (_each, user) => `@u${index}-${user}:h`),
    );
    expect(governedIn(recordOf(others), of(carol), { from: 0.2, to: 0.8 })).toBeUndefined();
  });
});

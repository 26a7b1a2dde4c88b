import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalJson } from '../../../../src/base/json/canonical-json.ts';
import type { UserId } from '../../../../src/matrix/ids.ts';
import type { PresencePush } from '../../../../src/matrix/presence.ts';
import type { ServerName } from '../../../../src/matrix/server-name.ts';
import {
  EduPacker,
  eduBytesMax,
  narrowingEntry,
  updateEntries,
  type WireAudience,
} from '../../../../src/presence/sending/wire.ts';

const alice = '@alice:a.test' as UserId;
const there = 'b.test' as ServerName;
const online = { shown: { state: 'online', statusMsg: 'hi', currentlyActive: true }, lastActiveAgoMs: 7 } as const;

function named(users: readonly string[]): WireAudience {
  const [first, ...rest] = users;
  if (first === undefined) throw new Error('nobody cannot be said');
  return { kind: 'named', users: [first, ...rest] };
}

function pack(groups: readonly (readonly PresencePush[])[], edusMax = 100): PresencePush[][] {
  const packer = new EduPacker(edusMax);
  for (const group of groups) packer.add(group);
  return packer.edus().map(({ content }) => content.push as PresencePush[]);
}

describe('an entry', () => {
  it('for everybody leaves the field out', () => {
    expect(updateEntries(alice, online, { kind: 'everybody' })).toEqual([
      { user_id: alice, presence: 'online', status_msg: 'hi', last_active_ago: 7, currently_active: true },
    ]);
  });

  it('always says how long ago, also of who was never active', () => {
    const shown = { state: 'unavailable', statusMsg: null, currentlyActive: false } as const;
    const [entry] = updateEntries(alice, { shown, lastActiveAgoMs: null }, { kind: 'everybody' });
    expect(entry?.last_active_ago).toBeGreaterThan(0);
    expect(entry).not.toHaveProperty('status_msg');
  });

  it('that takes back is a bare offline for everybody there', () => {
    expect(narrowingEntry(alice, there, 9)).toEqual({
      user_id: alice,
      presence: 'offline',
      last_active_ago: 9,
      currently_active: false,
      allowed_recipients: ['@*:b.test'],
    });
  });

  it('with a lone surrogate in its status can be written all the same', () => {
    const shown = { state: 'online', statusMsg: 'a\ud800b', currentlyActive: false } as const;
    expect(() =>
      canonicalJson(updateEntries(alice, { shown, lastActiveAgoMs: 0 }, { kind: 'everybody' })),
    ).not.toThrow();
  });
});

describe('packing', () => {
  it('never writes an empty list, names everybody once, and keeps all limits', () => {
    const subject = fc.record({
      users: fc.nat(700),
      nameLength: fc.constantFrom(1, 50, 230),
      status: fc.string({ maxLength: 500, unit: 'grapheme' }),
    });
    fc.assert(
      fc.property(fc.array(subject, { minLength: 1, maxLength: 8 }), (subjects) => {
        const groups = subjects.map(({ users, nameLength, status }, index) => {
          const names = Array.from({ length: users + 1 }, (_, id) => `@${'é'.repeat(nameLength / 2)}${id}:b.test`);
          const shown = { state: 'online', statusMsg: status, currentlyActive: false } as const;
          const entries = updateEntries(`@s${index}:a.test` as UserId, { shown, lastActiveAgoMs: 1 }, named(names));
          expect(entries.flatMap(({ allowed_recipients }) => allowed_recipients)).toEqual(names);
          return entries;
        });
        const edus = pack(groups, 1_000);
        expect(edus.flat()).toEqual(groups.flat());
        for (const push of edus) {
          expect(push.length).toBeGreaterThan(0);
          expect(push.length).toBeLessThanOrEqual(50);
          for (const { allowed_recipients } of push) expect(allowed_recipients?.length).toBeGreaterThan(0);
          expect(push.reduce((sum, entry) => sum + (entry.allowed_recipients?.length ?? 0), 0)).toBeLessThanOrEqual(
            256,
          );
          const bytes = Buffer.byteLength(canonicalJson({ edu_type: 'm.presence', content: { push } }));
          expect(bytes).toBeLessThanOrEqual(eduBytesMax);
        }
      }),
      { numRuns: 30 },
    );
  });

  it('puts at most 50 subjects into an EDU', () => {
    const groups = Array.from({ length: 120 }, (_, index) =>
      updateEntries(`@s${index}:a.test` as UserId, online, { kind: 'everybody' }),
    );
    expect(pack(groups).map(({ length }) => length)).toEqual([50, 50, 20]);
  });

  it('puts exactly 256 recipients into an EDU, and one more into the next', () => {
    const group = (index: number, count: number) => {
      const users = Array.from({ length: count }, (_, number) => `@u${number}:b.test`);
      return updateEntries(`@s${index}:a.test` as UserId, online, named(users));
    };
    expect(pack([group(1, 128), group(2, 128)]).map(({ length }) => length)).toEqual([2]);
    expect(pack([group(1, 128), group(2, 129)]).map(({ length }) => length)).toEqual([1, 1]);
  });

  it('takes a group whole or not at all', () => {
    const users = (count: number) => Array.from({ length: count }, (_, index) => `@u${index}:b.test`);
    const packer = new EduPacker(2);
    const small = updateEntries(alice, online, named(users(10)));
    expect(packer.add(small)).toBe(true);
    expect(packer.add(updateEntries(alice, online, named(users(600))))).toBe(false);
    expect(packer.edus().map(({ content }) => content.push)).toEqual([small]);
    expect(packer.add(small)).toBe(true);
    expect(packer.add(updateEntries(alice, online, named(users(250))))).toBe(true);
    expect(packer.edus()).toHaveLength(2);
  });
});

import { describe, expect, it } from 'vitest';
import type { RoomId, UserId } from '../../../../src/matrix/ids.ts';
import { type Ground, withDifference } from '../../../../src/presence/core/facts.ts';
import { Past } from '../../../../src/presence/core/past.ts';
import { emptyConfig } from '../../../../src/presence/sharing-config.ts';
import { compileRules } from '../../../../src/presence/sharing-rules.ts';

const alice = '@alice:a' as UserId;
const [one, two] = ['!1', '!2'] as RoomId[] as [RoomId, RoomId];
const oldRules = compileRules([emptyConfig], new Set(['@x:y' as UserId]));
const defaultRules = compileRules([], new Set());

const now: Ground = {
  roomsOf: () => new Set([two]),
  counts: (roomId) => roomId === two,
  rulesOf: () => defaultRules,
};

describe('the past', () => {
  const past = new Past();
  past.record(10, { kind: 'rules', userId: alice, rules: oldRules });
  past.record(20, { kind: 'membership', userId: alice, roomId: one, joined: true });
  past.record(30, { kind: 'membership', userId: alice, roomId: two, joined: false });
  past.record(40, { kind: 'room_size', roomId: one, counts: true });
  past.record(50, { kind: 'rules', userId: alice, rules: defaultRules });

  const at = (time: number) => {
    const difference = past.differencesIn({ from: time, to: time })?.[0];
    if (!difference) throw new Error('too long ago');
    const then = withDifference(now, difference);
    return { rooms: [...then.roomsOf(alice)].sort(), counts: then.counts(one), rules: then.rulesOf(alice) };
  };

  it.each([
    [5, { rooms: [one], counts: true, rules: oldRules }],
    [15, { rooms: [one], counts: true, rules: defaultRules }],
    [25, { rooms: [], counts: true, rules: defaultRules }],
    [35, { rooms: [two], counts: true, rules: defaultRules }],
    [45, { rooms: [two], counts: false, rules: defaultRules }],
    [55, { rooms: [two], counts: false, rules: defaultRules }],
  ])('at %i is what was so then', (time, expected) => {
    expect(at(time)).toEqual(expected);
  });

  it('of a span is before its first change, and after each', () => {
    const seen = past.differencesIn({ from: 20, to: 30 })?.map((difference) => {
      return [...withDifference(now, difference).roomsOf(alice)].sort();
    });
    expect(seen).toEqual([[one], [], [two]]);
    expect(past.differencesIn({ from: 51, to: 60 })).toHaveLength(1);
  });

  it('is bounded, and says how far it reaches back', () => {
    const long = new Past();
    for (let index = 0; index <= 50_000; index += 1) {
      long.record(index, { kind: 'room_size', roomId: one, counts: true });
    }
    expect(long.differencesIn({ from: 4_999, to: 4_999 })).toBeUndefined();
    expect(long.differencesIn({ from: 5_000, to: 5_000 })).toBeDefined();
  });
});

import { describe, expect, it } from 'vitest';
import type { UserId } from '../../../src/matrix/ids.ts';
import { defaultPushRules, type PushRuleKind, pushRuleKinds } from '../../../src/matrix/push-rules.ts';
import {
  encodeOwnRules,
  type OwnPushRules,
  parseOwnRules,
  type RulePlace,
  type RuleWish,
  rulesetOf,
  withChange,
  withoutRule,
  withRule,
} from '../../../src/push/ruleset.ts';

const alice = '@alice:a.test' as UserId;
const nothing = parseOwnRules(undefined);
const anywhere: RulePlace = { before: undefined, after: undefined };
const wish = (ruleId: string, more: Partial<RuleWish> = {}): RuleWish => ({ rule_id: ruleId, actions: [], ...more });

const idsOf = (own: OwnPushRules, kind: PushRuleKind): string[] =>
  rulesetOf(alice, own)[kind].map(({ rule_id: ruleId }) => ruleId);
const ownIds = (own: OwnPushRules, kind: PushRuleKind = 'room'): string[] =>
  own.rules[kind].map(({ rule_id: ruleId }) => ruleId);
/** Rooms `a`, `b` and `c`, the most important first. */
const abc = ['c', 'b', 'a'].reduce((own, id) => withRule(own, 'room', wish(id), anywhere), nothing);

describe('the default rules', () => {
  it('are those of the specification, in its order', () => {
    expect(Object.fromEntries(pushRuleKinds.map((kind) => [kind, idsOf(nothing, kind)]))).toEqual({
      override: [
        '.m.rule.master',
        '.m.rule.suppress_notices',
        '.m.rule.invite_for_me',
        '.m.rule.member_event',
        '.m.rule.is_user_mention',
        '.m.rule.is_room_mention',
        '.m.rule.tombstone',
        '.m.rule.reaction',
        '.m.rule.room.server_acl',
        '.m.rule.suppress_edits',
      ],
      content: [],
      room: [],
      sender: [],
      underride: [
        '.m.rule.call',
        '.m.rule.encrypted_room_one_to_one',
        '.m.rule.room_one_to_one',
        '.m.rule.message',
        '.m.rule.encrypted',
      ],
    });
  });

  it('are all enabled but the one that silences everything', () => {
    const off = pushRuleKinds.flatMap((kind) => defaultPushRules(alice)[kind].filter(({ enabled }) => !enabled));
    expect(off.map(({ rule_id: ruleId }) => ruleId)).toEqual(['.m.rule.master']);
  });

  it('name the user whom they are for', () => {
    const named = (userId: string) => JSON.stringify(defaultPushRules(userId as UserId)).split(userId).length - 1;
    expect([named(alice), named('@bob:b.test')]).toEqual([2, 2]);
  });
});

describe('own rules', () => {
  it('stand above the default ones, but for the one that silences everything', () => {
    const own = withRule(nothing, 'override', wish('mine', { conditions: [] }), anywhere);
    expect(idsOf(own, 'override').slice(0, 3)).toEqual(['.m.rule.master', 'mine', '.m.rule.suppress_notices']);
    const under = withRule(nothing, 'underride', wish('mine', { conditions: [] }), anywhere);
    expect(idsOf(under, 'underride').slice(0, 2)).toEqual(['mine', '.m.rule.call']);
  });

  it('begin enabled and as the most important of their kind', () => {
    expect(ownIds(abc)).toEqual(['a', 'b', 'c']);
    expect(abc.rules.room[0]).toEqual({ rule_id: 'a', actions: [], default: false, enabled: true });
    expect(ownIds(abc, 'sender')).toEqual([]);
  });

  it.each<[string, Partial<RulePlace>, string[]]>([
    ['before the first', { before: 'a' }, ['x', 'a', 'b', 'c']],
    ['before another', { before: 'c' }, ['a', 'b', 'x', 'c']],
    ['after the last', { after: 'c' }, ['a', 'b', 'c', 'x']],
    ['after another', { after: 'a' }, ['a', 'x', 'b', 'c']],
    ['before one and after another: before', { before: 'c', after: 'a' }, ['a', 'b', 'x', 'c']],
  ])('go %s', (_, place, expected) => {
    expect(ownIds(withRule(abc, 'room', wish('x'), { ...anywhere, ...place }))).toEqual(expected);
  });

  it.each<[Partial<RulePlace>, string[]]>([
    [{}, ['a', 'b', 'c']],
    [{ before: 'a' }, ['b', 'a', 'c']],
    [{ after: 'c' }, ['a', 'c', 'b']],
  ])('that are changed keep their place and whether they are enabled, unless %o', (place, expected) => {
    const disabled = withChange(abc, { userId: alice, kind: 'room', ruleId: 'b' }, { enabled: false });
    const changed = withRule(disabled, 'room', wish('b', { actions: ['notify'] }), { ...anywhere, ...place });
    expect(ownIds(changed)).toEqual(expected);
    expect(changed.rules.room.find((rule) => rule.rule_id === 'b')).toMatchObject({
      enabled: false,
      actions: ['notify'],
    });
  });

  it.each([{ before: 'x' }, { after: 'x' }, { before: '.m.rule.master' }, { before: 'b', after: 'x' }])(
    'go nowhere beside a rule that is not the user’s: %o',
    (place) => {
      const put = () => withRule(abc, 'room', wish('new'), { ...anywhere, ...place });
      if (place.before === 'b') expect(ownIds(put())).toEqual(['a', 'new', 'b', 'c']);
      else expect(put).toThrow(expect.objectContaining({ status: 400, errcode: 'M_UNKNOWN' }));
    },
  );

  it('are removed one by one; default rules are not', () => {
    expect(ownIds(withoutRule(abc, 'room', 'b'))).toEqual(['a', 'c']);
    for (const [kind, ruleId] of [
      ['room', 'x'],
      ['sender', 'a'],
      ['override', '.m.rule.master'],
    ] as const) {
      expect(() => withoutRule(abc, kind, ruleId)).toThrow(expect.objectContaining({ errcode: 'M_NOT_FOUND' }));
    }
  });

  it('are a thousand at most, and those that are there may still be changed', () => {
    let own = nothing;
    for (let index = 0; index < 1_000; index += 1) own = withRule(own, 'sender', wish(`@u${index}:a.test`), anywhere);
    expect(() => withRule(own, 'room', wish('a'), anywhere)).toThrow(
      expect.objectContaining({ errcode: 'M_TOO_LARGE' }),
    );
    expect(withRule(own, 'sender', wish('@u7:a.test', { actions: ['notify'] }), anywhere).rules.sender).toHaveLength(
      1_000,
    );
  });
});

describe('a change', () => {
  it('of a default rule is kept beside it, one thing and the other', () => {
    const key = { userId: alice, kind: 'underride', ruleId: '.m.rule.message' } as const;
    const first = withChange(nothing, key, { enabled: false });
    const both = withChange(first, key, { actions: [] });
    const rule = rulesetOf(alice, both).underride.find(({ rule_id: ruleId }) => ruleId === '.m.rule.message');
    expect(rule).toMatchObject({ default: true, enabled: false, actions: [] });
    expect(rulesetOf(alice, nothing).underride.at(-2)).toMatchObject({ enabled: true, actions: ['notify'] });
  });

  it('of a rule that is not there is refused', () => {
    expect(() => withChange(abc, { userId: alice, kind: 'room', ruleId: 'x' }, { enabled: true })).toThrow(
      expect.objectContaining({ errcode: 'M_NOT_FOUND' }),
    );
  });

  it('survives being stored', () => {
    const own = withChange(abc, { userId: alice, kind: 'override', ruleId: '.m.rule.master' }, { enabled: true });
    expect(parseOwnRules(JSON.parse(JSON.stringify(encodeOwnRules(own))))).toEqual(own);
  });
});

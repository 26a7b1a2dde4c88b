import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { UserId } from '../../../src/matrix/ids.ts';
import type { JsonObject } from '../../../src/matrix/pdu.ts';
import { defaultPushRules, type PushAction, type PushRule, type PushRuleset } from '../../../src/matrix/push-rules.ts';
import { AskedEvent } from '../../../src/push/asked-event.ts';
import { compilePushRules, type PushedEvent, verdictOf } from '../../../src/push/evaluate.ts';
import { encodeOwnRules, parseOwnRules, rulesetOf } from '../../../src/push/ruleset.ts';
import { compileWord, compileWordGlob, WordText } from '../../../src/push/word-glob.ts';

const alice = '@alice:a.test' as UserId;
const none: PushRuleset = { override: [], content: [], room: [], sender: [], underride: [] };

const pushed = (event: JsonObject, more: Partial<PushedEvent> = {}): PushedEvent => ({
  event: new AskedEvent({
    type: 'm.room.message',
    sender: '@bob:a.test',
    room_id: '!r:a.test',
    content: {},
    ...event,
  }),
  memberCount: 3,
  displayName: null,
  senderMayNotify: () => false,
  ...more,
});
const saying = (body: unknown, more: Partial<PushedEvent> = {}): PushedEvent => pushed({ content: { body } }, more);

const rule = (name: string, more: Partial<PushRule> = {}): PushRule => ({
  rule_id: name,
  default: false,
  enabled: true,
  actions: [name],
  ...more,
});
/** Whether a rule of this one condition matches. */
const matches = (condition: JsonObject, event: PushedEvent): boolean =>
  compilePushRules({ ...none, override: [rule('x', { conditions: [condition] })] })(event).length > 0;

describe('event_match', () => {
  const topic = (pattern: unknown, value: unknown, key = 'content.topic') =>
    matches({ kind: 'event_match', key, pattern }, pushed({ type: 'm.room.topic', content: { topic: value } }));

  it.each([
    ['lunc?*', 'Lunch plans', true],
    ['lunc?*', 'LUNCH', true],
    ['lunc?*', ' lunch', false],
    ['lunc?*', 'lunc', false],
    ['*', '', true],
    ['', '', true],
    ['', 'x', false],
    ['a.c', 'abc', false],
    ['[ab]', 'a', false],
    ['*', null, false],
    ['*', 7, false],
    ['*', ['x'], false],
    [7, '7', false],
    [undefined, 'x', false],
  ])('%j against %j: %s', (pattern, value, expected) => {
    expect(topic(pattern, value)).toBe(expected);
  });

  it('never matches what is not there, nor what every object has', () => {
    for (const key of [
      'content.other',
      'state_key',
      'content.topic.deeper',
      'content.toString',
      '__proto__',
      '',
      '.',
    ]) {
      expect([key, topic('*', 'x', key)]).toEqual([key, false]);
    }
    expect(matches({ kind: 'event_match', pattern: '*' }, saying('x'))).toBe(false);
  });

  it.each([
    ['content.m\\.relates_to', { 'm.relates_to': 'x' }],
    ['content.m\\\\foo', { 'm\\foo': 'x' }],
    ['content.\\x', { '\\x': 'x' }],
    ['content.a\\\\\\.b', { 'a\\.b': 'x' }],
    ['content.a.', { a: { '': 'x' } }],
    ['content.💥', { '💥': 'x' }],
  ])('reads the path %s as the specification writes it', (key, content) => {
    expect(matches({ kind: 'event_match', key, pattern: 'x' }, pushed({ content }))).toBe(true);
  });
});

describe('words of a body', () => {
  const body = (pattern: string, text: unknown): boolean =>
    matches({ kind: 'event_match', key: 'content.body', pattern }, saying(text));

  it.each([
    ['ex*ple', 'An example event.', true],
    ['ex*ple', 'exple', true],
    ['ex*ple', 'An exciting triple-whammy', true],
    ['cake', 'CAKE!', true],
    ['cake', 'cakes', false],
    ['cake', 'pan_cake', false],
    ['cake', 'kuchencake', false],
    ['cake', 'ücake', true],
    ['cake*lie', 'the cake is a lie', true],
    ['cake*lie', 'the cake is a liege', false],
    ['cake*lie', 'lie and cake', false],
    ['c?ke', 'a coke', true],
    ['c?ke', 'a cke', false],
    ['*', 'x', true],
    ['*', '', true],
    ['**a**', 'xaxax', true],
    ['@room', 'hi @room!', true],
    ['@room', 'hi@room', true],
    ['@room', '@rooms', false],
    ['?', '💥', true],
    ['a*b*c', 'a b b c', true],
    ['a*b*c', 'a c b', false],
    ['aa', 'a aaa aa', true],
    ['cake', 7, false],
  ])('%j in %j: %s', (pattern, text, expected) => {
    expect(body(pattern, text)).toBe(expected);
  });

  it('are found as by trying every piece of the text', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', ' ', '-', '_'), maxLength: 8 });
    const globs = fc.string({ unit: fc.constantFrom('a', 'b', ' ', '-', '*', '?'), maxLength: 6 });
    const isWord = (character: string | undefined) => character !== undefined && /[a-z0-9_]/.test(character);
    const slow = (glob: string, text: string): boolean => {
      const whole = new RegExp(`^${glob.replace(/[-]/g, '\\-').replace(/\*/g, '[^]*').replace(/\?/g, '[^]')}$`);
      const boundary = (at: number) => !(isWord(text[at - 1]) && isWord(text[at]));
      for (let from = 0; from <= text.length; from += 1)
        for (let to = from; to <= text.length; to += 1)
          if (boundary(from) && boundary(to) && whole.test(text.slice(from, to))) return true;
      return false;
    };
    fc.assert(
      fc.property(globs, letters, (glob, text) => {
        expect(compileWordGlob(glob)(new WordText(text))).toBe(slow(glob, text));
      }),
    );
  });

  it('of a plain word mean themselves, asterisks and all', () => {
    for (const [word, text, expected] of [
      ['a*c', 'an a*c', true],
      ['a*c', 'abc', false],
      ['a?', 'a? yes', true],
      ['a?', 'ab', false],
      ['Él', 'hola él', true],
    ] as const) {
      expect([word, text, compileWord(word)(new WordText(text))]).toEqual([word, text, expected]);
    }
  });
});

describe('event_property_is', () => {
  const is = (value: unknown, found: unknown): boolean =>
    matches(
      { kind: 'event_property_is', key: 'content.m\\.federate', value },
      pushed({ content: { 'm.federate': found } }),
    );

  it.each([
    [true, true, true],
    [true, 'true', false],
    [true, 1, false],
    ['x', 'x', true],
    ['x', 'X', false],
    [7, 7, true],
    [7, '7', false],
    [null, null, true],
    [null, undefined, false],
    [undefined, undefined, false],
    [0.5, 0.5, false],
    [{}, {}, false],
    [['x'], ['x'], false],
  ])('%j against %j: %s', (value, found, expected) => {
    expect(is(value, found)).toBe(expected);
  });

  it('does not take what is not there for null', () => {
    expect(matches({ kind: 'event_property_is', key: 'content.none', value: null }, pushed({}))).toBe(false);
  });
});

describe('event_property_contains', () => {
  it.each<[unknown, unknown, boolean]>([
    ['#a:a.test', ['#b:a.test', '#a:a.test'], true],
    [':a.test', ['#a:a.test'], false],
    [7, [7], true],
    [7, ['7'], false],
    [null, [null], true],
    [true, [[true]], false],
    ['x', 'x', false],
    ['x', { x: 'x' }, false],
    [{}, [{}], false],
  ])('%j in %j: %s', (value, found, expected) => {
    const condition = { kind: 'event_property_contains', key: 'content.alt_aliases', value };
    expect(matches(condition, pushed({ content: { alt_aliases: found } }))).toBe(expected);
  });
});

describe('room_member_count', () => {
  it.each([
    ['3', true],
    ['==3', true],
    ['2', false],
    ['<4', true],
    ['<3', false],
    ['<=3', true],
    ['>2', true],
    ['>3', false],
    ['>=3', true],
    ['>=4', false],
    ['', false],
    ['x', false],
    ['=3', false],
    ['3.0', false],
    [' 3', false],
    ['-3', false],
    [3, false],
    [undefined, false],
  ])('%j of three: %s', (is, expected) => {
    expect(matches({ kind: 'room_member_count', is }, saying('x'))).toBe(expected);
  });
});

describe('other conditions', () => {
  it('contains_display_name asks for the name in the room, as a word', () => {
    const named = (displayName: string | null, body: unknown) =>
      matches({ kind: 'contains_display_name' }, saying(body, { displayName }));
    expect(named('Alice', 'hi alice!')).toBe(true);
    expect(named('Alice', 'malice')).toBe(false);
    expect(named('A*', 'Alice')).toBe(false);
    expect(named(null, 'null')).toBe(false);
    expect(named('', 'x')).toBe(false);
    expect(named('Alice', 7)).toBe(false);
  });

  it('sender_notification_permission asks for the power of the sender', () => {
    const condition = { kind: 'sender_notification_permission', key: 'room' };
    expect(matches(condition, saying('x', { senderMayNotify: (key) => key === 'room' }))).toBe(true);
    expect(matches(condition, saying('x', { senderMayNotify: (key) => key === 'other' }))).toBe(false);
    expect(matches({ kind: 'sender_notification_permission' }, saying('x', { senderMayNotify: () => true }))).toBe(
      false,
    );
  });

  it('that are not known never match, and spoil their rule', () => {
    for (const kind of ['org.example.own', 'device', undefined, 7]) expect(matches({ kind }, saying('x'))).toBe(false);
    const known = { kind: 'event_match', key: 'type', pattern: '*' };
    const spoilt = { ...none, override: [rule('x', { conditions: [known, { kind: 'org.example.own' }] })] };
    expect(compilePushRules(spoilt)(saying('x'))).toEqual([]);
  });
});

describe('rules', () => {
  it('are asked by kind, then in their order, and the first that matches decides', () => {
    const all = (more: Partial<PushRuleset> = {}) =>
      compilePushRules({
        override: [],
        content: [rule('content', { pattern: 'cake' })],
        room: [rule('!r:a.test', { actions: ['room'] })],
        sender: [rule('@bob:a.test', { actions: ['sender'] })],
        underride: [rule('first', { conditions: [] }), rule('second', { conditions: [] })],
        ...more,
      });
    expect(all({ override: [rule('override', { conditions: [] })] })(saying('cake'))).toEqual(['override']);
    expect(all()(saying('cake'))).toEqual(['content']);
    expect(all()(saying('tea'))).toEqual(['room']);
    expect(all({ room: [] })(saying('tea'))).toEqual(['sender']);
    expect(all()(pushed({ room_id: '!o:a.test', sender: '@carol:a.test' }))).toEqual(['first']);
  });

  it('that are disabled do not match, and those without conditions match everything', () => {
    const off = rule('off', { enabled: false, conditions: [] });
    expect(compilePushRules({ ...none, override: [off, rule('on')] })(saying('x'))).toEqual(['on']);
    expect(compilePushRules(none)(saying('x'))).toEqual([]);
  });

  it('of a kind that needs a pattern do not match without', () => {
    expect(compilePushRules({ ...none, content: [rule('x')] })(saying('x'))).toEqual([]);
  });
});

describe('a verdict', () => {
  it.each<[readonly PushAction[], boolean, boolean]>([
    [[], false, false],
    [['notify'], true, false],
    [['dont_notify'], false, false],
    [['coalesce'], false, false],
    [['notify', { set_tweak: 'highlight' }], true, true],
    [['notify', { set_tweak: 'highlight', value: true }], true, true],
    [['notify', { set_tweak: 'highlight', value: false }], true, false],
    [['notify', { set_tweak: 'sound', value: 'x' }], true, false],
    [[{ set_tweak: 'highlight' }], false, false],
  ])('of %j: notifies %s, highlights %s', (actions, notifies, highlights) => {
    expect(verdictOf(actions)).toEqual({ notifies, highlights });
  });
});

describe('the default rules', () => {
  const evaluate = compilePushRules(defaultPushRules(alice));
  const verdict = (event: JsonObject, more: Partial<PushedEvent> = {}) => {
    const { notifies, highlights } = verdictOf(evaluate(pushed(event, more)));
    return `${notifies ? 'notifies' : 'silent'}${highlights ? ', highlights' : ''}`;
  };

  it.each<[string, JsonObject, Partial<PushedEvent>, string]>([
    ['a message', { content: { body: 'x' } }, {}, 'notifies'],
    ['a message of a bot', { content: { msgtype: 'm.notice', body: 'x' } }, {}, 'silent'],
    ['an encrypted message', { type: 'm.room.encrypted' }, {}, 'notifies'],
    ['an encrypted message between two', { type: 'm.room.encrypted' }, { memberCount: 2 }, 'notifies'],
    ['a call', { type: 'm.call.invite' }, {}, 'notifies'],
    ['something else', { type: 'org.example' }, {}, 'silent'],
    ['a topic', { type: 'm.room.topic', state_key: '' }, {}, 'silent'],
    [
      'one’s own invite',
      { type: 'm.room.member', state_key: alice, content: { membership: 'invite' } },
      {},
      'notifies',
    ],
    [
      'another’s invite',
      { type: 'm.room.member', state_key: '@c:a.test', content: { membership: 'invite' } },
      {},
      'silent',
    ],
    ['a join', { type: 'm.room.member', state_key: '@c:a.test', content: { membership: 'join' } }, {}, 'silent'],
    ['a mention', { content: { 'm.mentions': { user_ids: ['@c:a.test', alice] } } }, {}, 'notifies, highlights'],
    ['a mention of another', { content: { body: 'x', 'm.mentions': { user_ids: ['@c:a.test'] } } }, {}, 'notifies'],
    [
      'a mention of the room by who may',
      { content: { 'm.mentions': { room: true } } },
      { senderMayNotify: () => true },
      'notifies, highlights',
    ],
    ['a mention of the room by who may not', { content: { 'm.mentions': { room: true } } }, {}, 'notifies'],
    ['a reaction', { type: 'm.reaction' }, {}, 'silent'],
    ['an edit', { content: { body: 'x', 'm.relates_to': { rel_type: 'm.replace' } } }, {}, 'silent'],
    ['an upgrade of the room', { type: 'm.room.tombstone', state_key: '' }, {}, 'notifies, highlights'],
    ['what looks like one', { type: 'm.room.tombstone' }, {}, 'silent'],
    ['an access list', { type: 'm.room.server_acl', state_key: '' }, {}, 'silent'],
  ])('say of %s: %s', (_, event, more, expected) => {
    expect(verdict(event, more)).toBe(expected);
  });

  it('are silent altogether when the user says so', () => {
    const own = parseOwnRules({
      ...encodeOwnRules(parseOwnRules(undefined)),
      defaults: { '.m.rule.master': { enabled: true } },
    });
    expect(compilePushRules(rulesetOf(alice, own))(saying('x'))).toEqual([]);
  });
});

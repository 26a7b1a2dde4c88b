import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LooseNumber } from '../../../../src/base/json/loose-number.ts';
import { checkAuth } from '../../../../src/engine/auth/check.ts';
import { checkAuthEvents } from '../../../../src/engine/auth/check-auth-events.ts';
import { listAuthEventPlaces, listNeededKeys, selectAuthEvents } from '../../../../src/engine/auth/needed-state.ts';
import { joinRuleIn, membershipIn } from '../../../../src/engine/auth-state.ts';
import { findRedactionTarget } from '../../../../src/engine/event/redaction-target.ts';
import {
  creatorsOf,
  levelToNotify,
  levelToSend,
  mayAct,
  powerLevelOf,
  userLevelsOf,
} from '../../../../src/engine/power.ts';
import { isServerAllowedBy } from '../../../../src/engine/server-acl.ts';
import { historyVisibilityOf } from '../../../../src/engine/visibility.ts';
import { type JsonObject, type Pdu, type RoomEvent, stateKeyOf } from '../../../../src/matrix/pdu.ts';
import { supportedRoomVersions } from '../../../../src/matrix/room-versions.ts';
import type { ServerName } from '../../../../src/matrix/server-name.ts';
import { propertyRuns } from '../../../support/property-runs.ts';
import { SketchedRoom } from '../../../support/room-events.ts';
import { keyOf } from './rules/signers.ts';

const alice = '@alice:a.test';
const bob = '@bob:b.test';

const words = [
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  'length',
  'membership',
  'join_rule',
  'users',
  'users_default',
  'events',
  'events_default',
  'notifications',
  'ban',
  'invite',
  'creator',
  'additional_creators',
  'room_version',
  'm.federate',
  'third_party_invite',
  'signed',
  'mxid',
  'token',
  'signatures',
  'id.test',
  'ed25519:0',
  'public_key',
  'public_keys',
  'join_authorised_via_users_server',
  'redacts',
  'history_visibility',
  'allow',
  'deny',
  'join',
  'leave',
  'restricted',
  'knock',
  '',
  alice,
  bob,
  '@',
  ':',
] as const;
const word = fc.constantFrom(...words);

/** Whatever a parser can bring: own `__proto__` keys, lone surrogates, numbers beyond all bounds and as they were written. */
const scalar = fc.oneof(
  word,
  fc.string({ unit: 'binary', maxLength: 8 }),
  fc.constantFrom<unknown>(
    null,
    true,
    false,
    -0,
    Number.POSITIVE_INFINITY,
    new LooseNumber('1e400'),
    new LooseNumber('50.9'),
    new LooseNumber('9223372036854775808'),
    Number.NEGATIVE_INFINITY,
    1e308,
    2 ** 53,
    0.5,
    -1,
    50,
    100,
    '50',
    ' +7 ',
    '1e400',
  ),
  fc.integer(),
);
const json = fc.letrec((tie) => ({
  value: fc.oneof({ maxDepth: 4, withCrossShrink: true }, scalar, tie('list'), tie('object')),
  list: fc.array(tie('value'), { maxLength: 4 }),
  // Entries, so that `__proto__` is a key like any other.
  object: fc.array(fc.tuple(word, tie('value')), { maxLength: 6 }).map((entries) => Object.fromEntries(entries)),
}));
const content = json.object as fc.Arbitrary<JsonObject>;

const types = ['create', 'member', 'power_levels', 'join_rules', 'third_party_invite', 'aliases', 'redaction', 'x'].map(
  (type) => `m.room.${type}`,
);
const stateKey = fc.constantFrom(undefined, '', '__proto__', 'token', 'a.test', alice, bob);
const sketch: fc.Arbitrary<Sketch> = fc.record({
  type: fc.constantFrom(...types),
  stateKey,
  content,
  sender: fc.constantFrom(alice, bob),
});
interface Sketch {
  readonly type: string;
  readonly stateKey: string | undefined;
  readonly content: JsonObject;
  readonly sender: string;
}

/** Made by hand: no format check stands between the rules and what is said. */
function eventOf(
  room: SketchedRoom,
  { type, stateKey: key, content: said, sender }: Sketch,
  more: JsonObject = {},
): RoomEvent {
  const base = room.event({ type: 'x', sender, prev: [room.create], auth: [room.create] });
  const pdu = { ...base.pdu, type, content: said, ...(key === undefined ? {} : { state_key: key }), ...more } as Pdu;
  return { ...base, pdu };
}

function furnish(version: string, state: readonly Sketch[]): SketchedRoom {
  const room = new SketchedRoom(version, alice);
  room.member(alice, 'join');
  for (const said of state) {
    const event = eventOf(room, said);
    if (said.stateKey !== undefined) room.state.set(stateKeyOf(said.type, said.stateKey), event);
  }
  return room;
}

const manyKeys = Array.from({ length: 200 }, (_, index) => ({ public_key: keyOf(`${index}.test`).publicKey }));

describe.each(supportedRoomVersions)('with whatever JSON, in room version %s', (version) => {
  it('the rules judge and do not throw, and what is unsigned changes nothing', () => {
    fc.assert(
      fc.property(fc.array(sketch, { maxLength: 6 }), sketch, content, (state, said, unsigned) => {
        const room = furnish(version, state);
        const event = eventOf(room, said);
        const verdict = checkAuth(event, room.find, room.version);
        expect(typeof verdict.allowed).toBe('boolean');
        const more = { unsigned, age: 1, ...Object.fromEntries([['__proto__', unsigned]]) };
        expect(checkAuth(eventOf(room, said, more), room.find, room.version)).toEqual(verdict);
        const entries = selectAuthEvents(event.pdu, room.find, room.version).map((authEvent) => ({
          event: authEvent,
          rejected: false,
        }));
        expect(typeof checkAuthEvents(event, entries, room.version).allowed).toBe('boolean');
      }),
      { numRuns: propertyRuns(60) },
    );
  });

  it('what is read of a room is of the kind that is promised', () => {
    fc.assert(
      fc.property(fc.array(sketch, { maxLength: 6 }), sketch, word, (state, said, name) => {
        const room = furnish(version, state);
        const facts = { state: room.find, version: room.version };
        const create = room.find('m.room.create', '') ?? room.create;
        const levels = [
          powerLevelOf(name, facts.state, facts.version),
          levelToSend({ type: name, isState: true }, facts),
          levelToNotify(name, facts),
          ...userLevelsOf(said.content, room.version).map(([, level]) => level),
        ];
        for (const level of levels) expect(level).not.toBeNaN();
        expect(typeof mayAct(name, 'kick', facts)).toBe('boolean');
        expect([...creatorsOf(create, room.version)].every((user) => typeof user === 'string')).toBe(true);
        expect(typeof membershipIn(facts.state, name)).toBe('string');
        expect(joinRuleIn(facts.state, facts.version) ?? '').toEqual(expect.any(String));
        const event = eventOf(room, said);
        expect(listNeededKeys(event.pdu, room.version)).toHaveLength(
          new Set(listNeededKeys(event.pdu, room.version)).size,
        );
        for (const place of listAuthEventPlaces(event.pdu, room.version)) expect(typeof place.stateKey).toBe('string');
        expect(findRedactionTarget(event.pdu, room.version) ?? '$').toMatch(/^\$/);
        expect(typeof isServerAllowedBy(said.content, 'a.test' as ServerName)).toBe('boolean');
        expect(historyVisibilityOf(said.content)).toEqual(expect.any(String));
      }),
      { numRuns: propertyRuns(40) },
    );
  });

  it('thousands of levels, keys and signatures are judged without trying each key on each signature', () => {
    const room = new SketchedRoom(version, alice);
    room.member(alice, 'join');
    const many = Object.fromEntries(Array.from({ length: 3_000 }, (_, index) => [`@u${index}:a.test`, 1]));
    room.set('m.room.power_levels', '', alice, { users: { ...many, ...(version === '12' ? {} : { [alice]: 100 }) } });
    const levels = eventOf(room, {
      type: 'm.room.power_levels',
      stateKey: '',
      sender: alice,
      content: { users: many },
    });
    expect(checkAuth(levels, room.find, room.version).allowed).toBe(true);
    const signatures = Object.fromEntries(
      Array.from({ length: 500 }, (_, index) => [`s${index}.test`, { 'ed25519:0': 'A'.repeat(86) }]),
    );
    room.state.set(
      stateKeyOf('m.room.third_party_invite', 't'),
      eventOf(room, {
        type: 'm.room.third_party_invite',
        stateKey: 't',
        sender: alice,
        content: { public_keys: manyKeys },
      }),
    );
    const invite = { membership: 'invite', third_party_invite: { signed: { mxid: bob, token: 't', signatures } } };
    const event = eventOf(room, { type: 'm.room.member', stateKey: bob, sender: alice, content: invite });
    expect(checkAuth(event, room.find, room.version)).toEqual({
      allowed: false,
      reason: 'no key of the third-party invite signed it',
    });
  });
});

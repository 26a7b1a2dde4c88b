import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkAuth } from '../../../../src/engine/auth/check.ts';
import { authStateOfEvents } from '../../../../src/engine/auth-state.ts';
import { type JsonObject, type RoomEvent, stateKeyOf } from '../../../../src/matrix/pdu.ts';
import { supportedRoomVersions } from '../../../../src/matrix/room-versions.ts';
import { propertyRuns } from '../../../support/property-runs.ts';
import { type EventSketch, makeEvent, SketchedRoom } from '../../../support/room-events.ts';

const alice = '@alice:a.test';
const bob = '@bob:b.test';
const carol = '@carol:c.test';
const dan = '@dan:d.test';

/** Alice made the room and is at 100 (12: above all), Bob at 50, Carol at 0; all three are joined. Dan is not. */
function furnishedRoom(version: string, levels: JsonObject = {}, content: JsonObject = {}): SketchedRoom {
  const room = new SketchedRoom(version, alice, content);
  for (const user of [alice, bob, carol]) room.member(user, 'join');
  const creatorLevel = room.version.privilegedCreators ? {} : { [alice]: 100 };
  room.set('m.room.power_levels', '', alice, { users: { ...creatorLevel, [bob]: 50 }, ...levels });
  room.set('m.room.join_rules', '', alice, { join_rule: 'invite' });
  return room;
}

/** `allowed`, or the reason why not. */
function judge(room: SketchedRoom, sketch: EventSketch): string {
  return judgeEvent(room, room.event(sketch));
}

function judgeEvent(room: SketchedRoom, event: RoomEvent): string {
  const verdict = checkAuth(event, room.find, room.version);
  return verdict.allowed ? 'allowed' : verdict.reason;
}

const member = (user: string, membership: string, sender = user, extra: JsonObject = {}): EventSketch => ({
  type: 'm.room.member',
  stateKey: user,
  sender,
  content: { membership, ...extra },
});

describe.each(supportedRoomVersions)('the authorisation rules of room version %s', (version) => {
  describe('1, the create event', () => {
    const create = (sketch: Partial<EventSketch>): string => {
      const room = new SketchedRoom(version, alice);
      const creator = version === '10' ? { creator: alice } : {};
      const { content, ...rest } = sketch;
      return judgeEvent(
        room,
        makeEvent(room.version, {
          type: 'm.room.create',
          stateKey: '',
          sender: alice,
          content: { ...creator, ...content },
          ...rest,
        }),
      );
    };

    it('is allowed, with a version that is known or none', () => {
      expect(create({})).toBe('allowed');
      expect(create({ content: { room_version: version } })).toBe('allowed');
    });

    it('is refused with previous events', () => {
      expect(create({ prev: [new SketchedRoom(version).create] })).toMatch('previous events');
    });

    it('is refused with a version that is not known', () => {
      expect(create({ content: { room_version: 'org.example' } })).toMatch('not recognised');
      expect(create({ content: { room_version: 11 } })).toMatch('not recognised');
    });

    if (version !== '12')
      it("is refused where the room id is not of the sender's server", () => {
        expect(create({ roomId: '!room:b.test' })).toMatch("not of the creator's server");
        expect(create({ roomId: `!${'a'.repeat(43)}` })).toMatch("not of the creator's server");
      });

    if (version === '10')
      it('is refused without a creator', () => {
        const room = new SketchedRoom(version, alice);
        const event = makeEvent(room.version, { type: 'm.room.create', stateKey: '', sender: alice });
        expect(judgeEvent(room, event)).toMatch('names no creator');
      });

    if (version === '12')
      it('is refused with a room id', () => {
        const { create: event, ...room } = new SketchedRoom(version, alice);
        const named = { ...event, pdu: { ...event.pdu, room_id: event.roomId } };
        expect(checkAuth(named, () => undefined, room.version)).toMatchObject({ allowed: false });
      });

    if (version === '12')
      it('is refused unless additional creators are a list of user ids', () => {
        expect(create({ content: { additional_creators: [bob, carol] } })).toBe('allowed');
        expect(create({ content: { additional_creators: [] } })).toBe('allowed');
        for (const wrong of [bob, [bob, 'carol'], [1], { [bob]: 1 }, null]) {
          expect(create({ content: { additional_creators: wrong } })).toMatch('additional_creators');
        }
      });

    if (version === '11')
      it('may say what it likes about additional creators', () => {
        expect(create({ content: { additional_creators: 5 } })).toBe('allowed');
      });
  });

  describe('the room', () => {
    it('must have a create event', () => {
      const room = furnishedRoom(version);
      const event = room.event({ type: 'x', sender: alice });
      expect(checkAuth(event, authStateOfEvents([]), room.version)).toMatchObject({ allowed: false });
    });

    if (version === '12')
      it('is the one whose id is the create event', () => {
        const room = furnishedRoom(version);
        expect(judge(room, { type: 'x', sender: alice })).toBe('allowed');
        expect(judge(room, { type: 'x', sender: alice, roomId: `!${'a'.repeat(43)}` })).toMatch('room id');
      });

    it('keeps other servers out when it does not federate', () => {
      const room = furnishedRoom(version, {}, { 'm.federate': false });
      expect(judge(room, { type: 'x', sender: alice })).toBe('allowed');
      expect(judge(room, { type: 'x', sender: bob })).toMatch('federate');
      expect(judge(furnishedRoom(version, {}, { 'm.federate': 'false' }), { type: 'x', sender: bob })).toBe('allowed');
    });
  });

  describe('4, member events', () => {
    it('need a state key, a membership that exists, and a user', () => {
      const room = furnishedRoom(version);
      expect(judge(room, { type: 'm.room.member', sender: alice, content: { membership: 'leave' } })).toMatch(
        'no user',
      );
      expect(judge(room, { type: 'm.room.member', sender: alice, stateKey: alice })).toMatch('no membership');
      expect(judge(room, member('alice', 'invite', alice))).toMatch('not a user id');
      expect(judge(room, member(alice, 'lurk'))).toMatch('unknown');
      expect(judge(room, { ...member(alice, 'x'), content: { membership: 5 } })).toMatch('unknown');
    });

    it('need a user where they say who vouches', () => {
      const extra = { join_authorised_via_users_server: 'alice' };
      expect(judge(furnishedRoom(version), member(carol, 'join', carol, extra))).toMatch('join_authorised');
    });
  });

  describe('4.3, joins', () => {
    it('let the creator in first, and only straight after the create event', () => {
      const room = new SketchedRoom(version, alice);
      const other = room.event({ type: 'x', sender: alice });
      expect(judge(room, { ...member(alice, 'join'), prev: [room.create] })).toBe('allowed');
      expect(judge(room, { ...member(alice, 'join'), prev: [room.create, other] })).toMatch('not invited');
      expect(judge(room, { ...member(alice, 'join'), prev: [other] })).toMatch('not invited');
      expect(judge(room, { ...member(bob, 'join'), prev: [room.create] })).toMatch('not invited');
    });

    if (version === '12')
      it('let additional creators in like everybody else', () => {
        const room = new SketchedRoom(version, alice, { additional_creators: [bob] });
        expect(judge(room, { ...member(bob, 'join'), prev: [room.create] })).toMatch('not invited');
      });

    if (version === '10')
      it('let in whom the create event names as creator', () => {
        const room = new SketchedRoom(version, alice, { creator: bob });
        expect(judge(room, { ...member(bob, 'join'), prev: [room.create] })).toBe('allowed');
        expect(judge(room, { ...member(alice, 'join'), prev: [room.create] })).toMatch('not invited');
      });

    it('are for oneself', () => {
      const room = furnishedRoom(version);
      room.set('m.room.join_rules', '', alice, { join_rule: 'public' });
      expect(judge(room, member(dan, 'join'))).toBe('allowed');
      expect(judge(room, member(dan, 'join', alice))).toMatch('for another');
    });

    it('are not for the banned, whatever the join rule', () => {
      const room = furnishedRoom(version);
      room.member(dan, 'ban', alice);
      room.set('m.room.join_rules', '', alice, { join_rule: 'public' });
      expect(judge(room, member(dan, 'join'))).toMatch('banned');
    });

    const vouched = { join_authorised_via_users_server: bob };
    it.each<[JsonObject | undefined, string, JsonObject, string]>([
      [{ join_rule: 'public' }, 'leave', {}, 'allowed'],
      [{ join_rule: 'invite' }, 'leave', {}, 'not invited'],
      [{ join_rule: 'invite' }, 'invite', {}, 'allowed'],
      [{ join_rule: 'invite' }, 'join', {}, 'allowed'],
      [{ join_rule: 'invite' }, 'knock', {}, 'not invited'],
      [{ join_rule: 'knock' }, 'invite', {}, 'allowed'],
      [{ join_rule: 'knock' }, 'knock', {}, 'not invited'],
      [{ join_rule: 'restricted' }, 'invite', {}, 'allowed'],
      [{ join_rule: 'restricted' }, 'join', {}, 'allowed'],
      [{ join_rule: 'restricted' }, 'leave', {}, 'vouched for'],
      [{ join_rule: 'restricted' }, 'leave', vouched, 'allowed'],
      [{ join_rule: 'knock_restricted' }, 'leave', vouched, 'allowed'],
      [{ join_rule: 'knock_restricted' }, 'knock', {}, 'vouched for'],
      [{ join_rule: 'invite' }, 'leave', vouched, 'not invited'],
      [{ join_rule: 'private' }, 'invite', {}, 'nobody'],
      [{ join_rule: 'private' }, 'join', {}, 'nobody'],
      [{ join_rule: 5 }, 'invite', {}, 'nobody'],
      [{}, 'invite', {}, 'allowed'],
      [undefined, 'invite', {}, 'allowed'],
      [undefined, 'leave', {}, 'not invited'],
    ])('under %j from %s with %j are: %4$s', (rules, before, extra, expected) => {
      const room = furnishedRoom(version);
      if (rules) room.set('m.room.join_rules', '', alice, rules);
      else room.state.delete(stateKeyOf('m.room.join_rules', ''));
      room.member(dan, before, alice);
      expect(judge(room, member(dan, 'join', dan, extra))).toMatch(expected);
    });

    it('under restricted rules need a voucher who is joined and may invite', () => {
      const room = furnishedRoom(version, { invite: 50 });
      room.set('m.room.join_rules', '', alice, { join_rule: 'restricted' });
      const joinVia = (user: string) =>
        judge(room, member(dan, 'join', dan, { join_authorised_via_users_server: user }));
      expect(joinVia(bob)).toBe('allowed');
      expect(joinVia(alice)).toBe('allowed');
      expect(joinVia(carol)).toMatch('may not invite');
      room.member(bob, 'leave');
      expect(joinVia(bob)).toMatch('not joined');
    });
  });

  describe('4.4, invites', () => {
    it('come from joined members with the invite level', () => {
      const room = furnishedRoom(version, { invite: 50 });
      expect(judge(room, member(dan, 'invite', bob))).toBe('allowed');
      expect(judge(room, member(dan, 'invite', carol))).toMatch('may not invite');
      expect(judge(room, member('@eve:e.test', 'invite', dan))).toMatch('not joined');
      expect(judge(furnishedRoom(version), member(dan, 'invite', carol))).toBe('allowed');
    });

    it.each([
      ['leave', 'allowed'],
      ['knock', 'allowed'],
      ['invite', 'allowed'],
      ['join', 'joined or banned'],
      ['ban', 'joined or banned'],
    ])('to somebody in membership %s are: %s', (before, expected) => {
      const room = furnishedRoom(version);
      room.member(dan, before, alice);
      expect(judge(room, member(dan, 'invite', alice))).toMatch(expected);
    });
  });

  describe('4.5, leaving and kicking', () => {
    it.each([
      ['join', 'allowed'],
      ['invite', 'allowed'],
      ['knock', 'allowed'],
      ['leave', 'nothing to leave'],
      ['ban', 'nothing to leave'],
    ])('oneself from %s is: %s', (before, expected) => {
      const room = furnishedRoom(version);
      room.member(dan, before, alice);
      expect(judge(room, member(dan, 'leave'))).toMatch(expected);
    });

    it('others takes being joined, the kick level, and more power than they have', () => {
      const room = furnishedRoom(version);
      expect(judge(room, member(carol, 'leave', bob))).toBe('allowed');
      expect(judge(room, member(bob, 'leave', carol))).toMatch('may not kick');
      expect(judge(room, member(bob, 'leave', alice))).toBe('allowed');
      expect(judge(room, member(alice, 'leave', bob))).toMatch('may not kick');
      expect(judge(room, member(carol, 'leave', dan))).toMatch('not joined');
      expect(judge(furnishedRoom(version, { kick: 51 }), member(carol, 'leave', bob))).toMatch('may not kick');
    });

    it('somebody of equal power fails', () => {
      const room = furnishedRoom(version, { users_default: 50 });
      expect(judge(room, member(carol, 'leave', bob))).toMatch('may not kick');
    });

    it('lifts a ban only with the ban level too', () => {
      const room = furnishedRoom(version, { ban: 60 });
      room.member(dan, 'ban', alice);
      expect(judge(room, member(dan, 'leave', alice))).toBe('allowed');
      expect(judge(room, member(dan, 'leave', bob))).toMatch('lift a ban');
      const lenient = furnishedRoom(version, { ban: 50 });
      lenient.member(dan, 'ban', alice);
      expect(judge(lenient, member(dan, 'leave', bob))).toBe('allowed');
    });
  });

  describe('4.6, bans', () => {
    it('take being joined, the ban level, and more power than the banned have', () => {
      const room = furnishedRoom(version);
      expect(judge(room, member(dan, 'ban', bob))).toBe('allowed');
      expect(judge(room, member(carol, 'ban', bob))).toBe('allowed');
      expect(judge(room, member(dan, 'ban', carol))).toMatch('may not ban');
      expect(judge(room, member(alice, 'ban', bob))).toMatch('may not ban');
      expect(judge(room, member(bob, 'ban', bob))).toMatch('may not ban');
      expect(judge(room, member(carol, 'ban', dan))).toMatch('not joined');
      expect(judge(furnishedRoom(version, { ban: 51 }), member(dan, 'ban', bob))).toMatch('may not ban');
    });
  });

  describe('4.7, knocks', () => {
    it.each([
      ['knock', 'allowed'],
      ['knock_restricted', 'allowed'],
      ['invite', 'nobody can knock'],
      ['public', 'nobody can knock'],
      ['restricted', 'nobody can knock'],
    ])('under the join rule %s are: %s', (joinRule, expected) => {
      const room = furnishedRoom(version);
      room.set('m.room.join_rules', '', alice, { join_rule: joinRule });
      expect(judge(room, member(dan, 'knock'))).toMatch(expected);
    });

    it('are for oneself, and for whoever is neither in nor invited nor banned', () => {
      const room = furnishedRoom(version);
      room.set('m.room.join_rules', '', alice, { join_rule: 'knock' });
      expect(judge(room, member(dan, 'knock', alice))).toMatch('for another');
      room.member(dan, 'knock');
      expect(judge(room, member(dan, 'knock'))).toBe('allowed');
      for (const before of ['ban', 'invite', 'join']) {
        room.member(dan, before, alice);
        expect(judge(room, member(dan, 'knock'))).toMatch('banned, invited or joined');
      }
    });
  });

  describe('5 to 8, all other events', () => {
    it('come from joined members', () => {
      const room = furnishedRoom(version);
      expect(judge(room, { type: 'm.room.message', sender: carol })).toBe('allowed');
      expect(judge(room, { type: 'm.room.message', sender: dan })).toMatch('not joined');
      room.member(dan, 'invite', alice);
      expect(judge(room, { type: 'm.room.message', sender: dan })).toMatch('not joined');
    });

    it('that promise a third-party invite take the invite level and no other', () => {
      const sketch = { type: 'm.room.third_party_invite', stateKey: 'token' };
      const room = furnishedRoom(version, { invite: 40, events: { 'm.room.third_party_invite': 90 } });
      expect(judge(room, { ...sketch, sender: bob })).toBe('allowed');
      expect(judge(room, { ...sketch, sender: carol })).toMatch('may not invite');
    });

    it.each<[JsonObject, boolean, string, string]>([
      [{}, false, carol, 'allowed'],
      [{}, true, carol, 'may not send'],
      [{}, true, bob, 'allowed'],
      [{ events_default: 10 }, false, carol, 'may not send'],
      [{ events_default: 10 }, false, bob, 'allowed'],
      [{ state_default: 0 }, true, carol, 'allowed'],
      [{ state_default: 60 }, true, bob, 'may not send'],
      [{ events: { x: 5 } }, false, carol, 'may not send'],
      [{ events: { x: 5 } }, true, bob, 'allowed'],
      [{ events: { x: 0 }, state_default: 90 }, true, carol, 'allowed'],
      [{ events: { y: 5 } }, false, carol, 'allowed'],
      [{ users_default: 60 }, true, carol, 'allowed'],
    ])('under the levels %j, state event: %s, from %s are: %s', (levels, isState, sender, expected) => {
      const room = furnishedRoom(version, levels);
      expect(judge(room, { type: 'x', sender, ...(isState ? { stateKey: '' } : {}) })).toMatch(expected);
    });

    it('leave the state keys of other users alone', () => {
      const room = furnishedRoom(version, { state_default: 0 });
      expect(judge(room, { type: 'x', sender: carol, stateKey: carol })).toBe('allowed');
      expect(judge(room, { type: 'x', sender: carol, stateKey: 'carol' })).toBe('allowed');
      expect(judge(room, { type: 'x', sender: alice, stateKey: carol })).toMatch("another user's");
      expect(judge(room, { type: 'x', sender: alice, stateKey: '@' })).toMatch("another user's");
    });

    it('do without power levels: the creator is at 100, others at 0, state at 50', () => {
      const room = new SketchedRoom(version, alice);
      room.member(alice, 'join');
      room.member(bob, 'join');
      expect(judge(room, { type: 'x', sender: alice, stateKey: '' })).toBe('allowed');
      expect(judge(room, { type: 'x', sender: bob, stateKey: '' })).toMatch('may not send');
      expect(judge(room, { type: 'x', sender: bob })).toBe('allowed');
    });

    it('include redactions, whatever the redact level', () => {
      const room = furnishedRoom(version, { redact: 90 });
      expect(judge(room, { type: 'm.room.redaction', sender: carol })).toBe('allowed');
    });
  });

  it('never throw, whatever the contents of the event and of the state', () => {
    const types = ['create', 'member', 'power_levels', 'join_rules', 'third_party_invite', 'x'].map(
      (t) => `m.room.${t}`,
    );
    const keys = fc.constantFrom(
      'membership',
      'join_rule',
      'users',
      'events',
      'ban',
      'creator',
      'additional_creators',
      'third_party_invite',
      'join_authorised_via_users_server',
      'signed',
      'mxid',
      'token',
      '__proto__',
      alice,
    );
    const scalar = fc.oneof(
      fc.constantFrom(alice, bob, 'join', 'invite', 'leave', 'restricted', null, true),
      fc.integer(),
    );
    const content = fc
      .array(fc.tuple(keys, fc.oneof(scalar, fc.array(scalar), fc.dictionary(keys, scalar))), { maxLength: 5 })
      .map((entries) => Object.fromEntries(entries) as JsonObject);
    const stateKey = fc.constantFrom('', alice, bob, 'token');
    const sketch = fc.record({
      type: fc.constantFrom(...types),
      sender: fc.constantFrom(alice, bob),
      stateKey,
      content,
    });
    fc.assert(
      fc.property(fc.array(sketch, { maxLength: 6 }), sketch, (state, sketched) => {
        const room = furnishedRoom(version);
        for (const { type, ...rest } of state) if (type !== 'm.room.create') room.put(room.event({ type, ...rest }));
        if (sketched.type === 'm.room.create') return;
        expect(judge(room, sketched)).toEqual(expect.any(String));
      }),
      { numRuns: propertyRuns(40) },
    );
  });
});

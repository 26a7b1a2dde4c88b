import { describe, expect, it } from 'vitest';
import { checkAuthEvents } from '../../../../src/engine/auth/check-auth-events.ts';
import {
  listAuthEventPlaces,
  listNeededKeys,
  listNeededPlaces,
  selectAuthEvents,
} from '../../../../src/engine/auth/needed-state.ts';
import { type JsonObject, type RoomEvent, stateKeyOf } from '../../../../src/matrix/pdu.ts';
import { getRoomVersion, supportedRoomVersions } from '../../../../src/matrix/room-versions.ts';
import { SketchedRoom } from '../../../support/room-events.ts';

const alice = '@alice:a.test';
const bob = '@bob:b.test';

const places = (type: string, stateKey: string | undefined, content: JsonObject, version = '11'): string[] =>
  listAuthEventPlaces(
    { type, sender: alice, content, ...(stateKey === undefined ? {} : { state_key: stateKey }) },
    getRoomVersion(version),
  ).map((place) => `${place.type.replace('m.room.', '')} ${place.stateKey}`.trim());

const common = ['create', 'power_levels', `member ${alice}`];

describe('the selection of auth events', () => {
  it.each<[string, string, string | undefined, JsonObject, string[]]>([
    ['nothing for the create event', 'm.room.create', '', {}, []],
    ['create, power levels and the sender for a message', 'm.room.message', undefined, {}, common],
    ['the same for a state event', 'm.room.name', '', {}, common],
    ['the target for a kick', 'm.room.member', bob, { membership: 'leave' }, [...common, `member ${bob}`]],
    ['the target for a ban', 'm.room.member', bob, { membership: 'ban' }, [...common, `member ${bob}`]],
    [
      'the join rules for an invite',
      'm.room.member',
      bob,
      { membership: 'invite' },
      [...common, `member ${bob}`, 'join_rules'],
    ],
    ['no user twice for a join', 'm.room.member', alice, { membership: 'join' }, [...common, 'join_rules']],
    ['the join rules for a knock', 'm.room.member', alice, { membership: 'knock' }, [...common, 'join_rules']],
    [
      'the promise for a third-party invite',
      'm.room.member',
      bob,
      { membership: 'invite', third_party_invite: { signed: { token: 't' } } },
      [...common, `member ${bob}`, 'join_rules', 'third_party_invite t'],
    ],
    [
      'no promise where the token is no string',
      'm.room.member',
      bob,
      { membership: 'invite', third_party_invite: { signed: { token: 5 } } },
      [...common, `member ${bob}`, 'join_rules'],
    ],
    [
      'who vouches for a restricted join',
      'm.room.member',
      alice,
      { membership: 'join', join_authorised_via_users_server: bob },
      [...common, 'join_rules', `member ${bob}`],
    ],
    [
      'nobody who vouches for a leave',
      'm.room.member',
      alice,
      { membership: 'leave', join_authorised_via_users_server: bob },
      common,
    ],
  ])('takes %s', (_name, type, stateKey, content, expected) => {
    for (const version of supportedRoomVersions) {
      const isSelected = (place: string): boolean => {
        // "In this room version, m.room.create MUST NOT be selected."
        if (place === 'create') return version !== '12';
        // "… and the room version supports restricted rooms".
        return place !== `member ${bob}` || type !== 'm.room.member' || stateKey === bob || Number(version) >= 8;
      };
      expect([version, places(type, stateKey, content, version)]).toEqual([version, expected.filter(isSelected)]);
    }
  });

  it('takes nothing from what is not of the kind that the rules speak of', () => {
    const junk: unknown[] = [null, 5, 'x', [], {}, { signed: null }, { signed: [] }, { signed: { token: null } }];
    for (const value of junk) {
      const content = { membership: 'invite', third_party_invite: value, join_authorised_via_users_server: value };
      expect(places('m.room.member', bob, content)).toEqual([...common, `member ${bob}`, 'join_rules']);
      const join = { membership: 'join', join_authorised_via_users_server: [value] };
      expect(places('m.room.member', alice, join)).toEqual([...common, 'join_rules']);
    }
    expect(places('m.room.member', undefined, { membership: 'join' })).toEqual([...common, 'join_rules']);
    expect(places('m.room.member', bob, { membership: ['invite'] })).toEqual([...common, `member ${bob}`]);
    expect(places('m.room.aliases', 'a.test', {})).toEqual(common);
    expect(places('m.room.third_party_invite', 't', {})).toEqual(common);
  });

  it('leaves out what the state does not have', () => {
    const room = new SketchedRoom('11', alice);
    const subject = { type: 'm.room.message', sender: alice, content: {} };
    expect(selectAuthEvents(subject, room.find, room.version)).toEqual([room.create]);
    const join = room.member(alice, 'join');
    expect(selectAuthEvents(subject, room.find, room.version)).toEqual([room.create, join]);
  });

  it('reads the create event for the rules also where it is no auth event', () => {
    const subject = { type: 'm.room.message', sender: alice, content: {} };
    for (const version of ['11', '12']) {
      expect(listNeededPlaces(subject, getRoomVersion(version))[0]).toEqual({ type: 'm.room.create', stateKey: '' });
      expect(listNeededKeys(subject, getRoomVersion(version))).toContain(stateKeyOf('m.room.create', ''));
    }
  });
});

describe.each(supportedRoomVersions)('the rules about auth events of room version %s', (version) => {
  const room = new SketchedRoom(version, alice);
  const joined = room.member(alice, 'join');
  const levels = room.set('m.room.power_levels', '', alice, {});
  const name = room.set('m.room.name', '', alice, {});
  const base = room.version.createIsAuthEvent ? [room.create] : [];
  const event = room.event({ type: 'm.room.message', sender: alice });
  const judge = (events: readonly RoomEvent[], rejected?: RoomEvent): string => {
    const entries = events.map((authEvent) => ({ event: authEvent, rejected: authEvent === rejected }));
    const verdict = checkAuthEvents(event, entries, room.version);
    return verdict.allowed ? 'allowed' : verdict.reason;
  };

  it('allow the selected ones, all or fewer', () => {
    expect(judge([...base, levels, joined])).toBe('allowed');
    expect(judge([...base, joined])).toBe('allowed');
  });

  it('refuse two for one place', () => {
    const other = room.event({ type: 'm.room.power_levels', stateKey: '', sender: alice, ts: 5 });
    expect(judge([...base, levels, joined, other])).toMatch('two auth events');
    expect(judge([...base, levels, levels])).toMatch('two auth events');
  });

  it('refuse one event named twice, also where it was read once', () => {
    const twice = room.event({ type: 'm.room.message', sender: alice, auth: [...base, joined, joined] });
    const entries = [...base, joined].map((authEvent) => ({ event: authEvent, rejected: false }));
    expect(checkAuthEvents(twice, entries, room.version)).toEqual({
      allowed: false,
      reason: 'an auth event is named twice',
    });
    const once = room.event({ type: 'm.room.message', sender: alice, auth: [...base, joined] });
    expect(checkAuthEvents(once, entries, room.version).allowed).toBe(true);
  });

  it('refuse one that is not needed', () => {
    expect(judge([...base, joined, name])).toMatch('not needed');
    expect(judge([...base, room.member(bob, 'join')])).toMatch('not needed');
    expect(judge([...base, room.event({ type: 'm.room.member', sender: alice })])).toMatch('no state event');
  });

  it('refuse one that was rejected', () => {
    expect(judge([...base, levels, joined], levels)).toMatch('was rejected');
  });

  it('refuse one of another room', () => {
    const foreign = new SketchedRoom(version, alice, { other: true }).event({
      type: 'm.room.member',
      stateKey: alice,
      sender: alice,
      content: { membership: 'join' },
      roomId: version === '12' ? `!${'b'.repeat(43)}` : '!other:a.test',
    });
    expect(judge([...base, foreign])).toMatch('another room');
  });

  it('want the create event, or refuse it where the room id stands for it', () => {
    const withCreate = judge([room.create, joined]);
    const withoutCreate = judge([joined]);
    if (version === '12') {
      expect(withCreate).toMatch('not needed');
      expect(withoutCreate).toBe('allowed');
    } else {
      expect(withCreate).toBe('allowed');
      expect(withoutCreate).toMatch('lack the create event');
    }
  });

  it('take who vouches for a join where the version knows of such joins', () => {
    const voucher = room.member(bob, 'join');
    const content = { membership: 'join', join_authorised_via_users_server: bob };
    const join = room.event({ type: 'm.room.member', stateKey: alice, sender: alice, content });
    const entries = [...base, voucher].map((authEvent) => ({ event: authEvent, rejected: false }));
    expect(checkAuthEvents(join, entries, room.version).allowed).toBe(Number(version) >= 8);
  });

  it('take the promise of a third-party invite with the token of the invite, and no other', () => {
    const invite = (token: string) =>
      room.event({
        type: 'm.room.member',
        stateKey: bob,
        sender: alice,
        content: { membership: 'invite', third_party_invite: { signed: { mxid: bob, token } } },
      });
    const promise = room.set('m.room.third_party_invite', 'token', alice, {});
    const entries = [...base, promise].map((authEvent) => ({ event: authEvent, rejected: false }));
    expect(checkAuthEvents(invite('token'), entries, room.version).allowed).toBe(true);
    expect(checkAuthEvents(invite('other'), entries, room.version).allowed).toBe(false);
  });

  it('want none on the create event itself', () => {
    expect(checkAuthEvents(room.create, [], room.version).allowed).toBe(true);
    expect(checkAuthEvents(room.create, [{ event: joined, rejected: false }], room.version).allowed).toBe(false);
  });
});

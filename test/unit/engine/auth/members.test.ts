import { describe, expect, it } from 'vitest';
import { type JsonObject, stateKeyOf } from '../../../../src/matrix/pdu.ts';
import { supportedRoomVersions } from '../../../../src/matrix/room-versions.ts';
import type { SketchedRoom } from '../../../support/room-events.ts';
import { alice, bob, carol, dan, furnishedRoom, judge, member } from './rules/rule-table.ts';

const memberships = [undefined, 'join', 'invite', 'knock', 'leave', 'ban'] as const;

/** Join rule → the first version that knows it. */
const knownSince: Readonly<Record<string, number>> = {
  public: 1,
  invite: 1,
  knock: 7,
  restricted: 8,
  knock_restricted: 10,
};

/** What may stand in the content of a join rules event; undefined: there is none. */
const joinRules: readonly (JsonObject | undefined)[] = [
  ...Object.keys(knownSince).map((rule) => ({ join_rule: rule })),
  { join_rule: 'private' },
  { join_rule: 'Public' },
  { join_rule: 5 },
  { join_rule: null },
  {},
  undefined,
];

/** The rule that is meant, if the version knows it: invite where nothing is said. */
function meaningOf(content: JsonObject | undefined, version: string): string | undefined {
  if (content === undefined || !('join_rule' in content)) return 'invite';
  const rule = String(content.join_rule);
  return Number(version) >= (knownSince[rule] ?? Number.POSITIVE_INFINITY) ? rule : undefined;
}

function roomUnder(version: string, rules: JsonObject | undefined, membership: string | undefined): SketchedRoom {
  const room = furnishedRoom(version);
  if (rules) room.set('m.room.join_rules', '', alice, rules);
  else room.state.delete(stateKeyOf('m.room.join_rules', ''));
  if (membership) room.member(dan, membership, alice);
  return room;
}

describe.each(supportedRoomVersions)('in room version %s', (version) => {
  it.each(joinRules)('the join rules %j let in whom they say, and nobody else', (rules) => {
    const rule = meaningOf(rules, version);
    for (const membership of memberships) {
      for (const voucher of [undefined, bob]) {
        const isPresent = membership === 'join' || membership === 'invite';
        const isVouchedFor = voucher !== undefined && (rule === 'restricted' || rule === 'knock_restricted');
        const allowed = membership !== 'ban' && rule !== undefined && (rule === 'public' || isPresent || isVouchedFor);
        const extra = voucher === undefined ? {} : { join_authorised_via_users_server: voucher };
        const outcome = judge(roomUnder(version, rules, membership), member(dan, 'join', dan, extra));
        expect([membership, voucher, outcome === 'allowed']).toEqual([membership, voucher, allowed]);
      }
    }
  });

  it.each(joinRules)('the join rules %j let those knock whom they say, and nobody else', (rules) => {
    const rule = meaningOf(rules, version);
    for (const membership of memberships) {
      const isAbsent = membership === undefined || membership === 'leave' || membership === 'knock';
      const allowed = isAbsent && (rule === 'knock' || rule === 'knock_restricted');
      const outcome = judge(roomUnder(version, rules, membership), member(dan, 'knock'));
      expect([membership, outcome === 'allowed']).toEqual([membership, allowed]);
    }
  });

  it.each(memberships)(
    'somebody in membership %s may be invited, kicked and banned, and leave, as the rules say',
    (from) => {
      const room = roomUnder(version, { join_rule: 'invite' }, from);
      const may = (membership: string, sender: string) => judge(room, member(dan, membership, sender)) === 'allowed';
      expect(may('invite', alice)).toBe(from !== 'join' && from !== 'ban');
      // Also of somebody who is not there, which other servers may do as well.
      expect(may('leave', alice)).toBe(true);
      expect(may('ban', alice)).toBe(true);
      const hasKnocked = from === 'knock' && Number(version) >= 7;
      expect(may('leave', dan)).toBe(from === 'join' || from === 'invite' || hasKnocked);
    },
  );

  it('a kick, a ban and a lifted ban take more power than the user has', () => {
    const room = furnishedRoom(version, { ban: 60 });
    const kick = (target: string, sender: string) => judge(room, member(target, 'leave', sender));
    expect(kick(carol, bob)).toBe('allowed');
    expect(kick(bob, carol)).toBe('the sender may not kick the user');
    expect(kick(bob, alice)).toBe('allowed');
    expect(kick(alice, bob)).toBe('the sender may not kick the user');
    expect(judge(room, member(alice, 'ban', bob))).toBe('the sender may not ban the user');
    expect(judge(room, member(bob, 'ban', bob))).toBe('the sender may not ban the user');
    room.member(carol, 'ban', alice);
    expect(kick(carol, bob)).toBe('the sender may not lift a ban');
    const lenient = furnishedRoom(version, { ban: 50, users_default: 50 });
    lenient.member(dan, 'ban', alice);
    expect(judge(lenient, member(dan, 'leave', bob))).toBe('the sender may not kick the user');
  });

  it('a member event is about a user', () => {
    expect(judge(furnishedRoom(version), member('alice', 'invite', alice))).toBe('the state key is not a user id');
    expect(judge(furnishedRoom(version), { ...member(carol, ''), content: { membership: ['join'] } })).toBe(
      'the membership is unknown',
    );
  });

  it('a leave may repeat what the join said of its voucher', () => {
    const extra = { join_authorised_via_users_server: 'nobody' };
    expect(judge(furnishedRoom(version), member(carol, 'leave', carol, extra))).toBe('allowed');
  });

  it('a room that says anything but false about federation federates', () => {
    for (const value of [true, null, 'false', 0]) {
      const room = furnishedRoom(version, {}, { 'm.federate': value });
      expect(judge(room, { type: 'x', sender: bob })).toBe('allowed');
    }
  });
});

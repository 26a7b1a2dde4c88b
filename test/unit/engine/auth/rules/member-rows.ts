import type { JsonObject } from '../../../../../src/matrix/pdu.ts';
import { SketchedRoom } from '../../../../support/room-events.ts';
import { alice, bob, carol, dan, furnishedRoom, judge, member, type Outcome, type RuleRow } from './rule-table.ts';
import { judgeSigners } from './signers.ts';

/** A room where Dan has this membership. */
function roomWithDan(version: string, membership: string, levels: JsonObject = {}): SketchedRoom {
  const room = furnishedRoom(version, levels);
  room.member(dan, membership, alice);
  return room;
}

/** Dan joins from this membership under this rule. */
function judgeJoin(version: string, joinRule: string, from: string, extra: JsonObject = {}, levels: JsonObject = {}) {
  const room = roomWithDan(version, from, levels);
  room.set('m.room.join_rules', '', alice, { join_rule: joinRule });
  return judge(room, member(dan, 'join', dan, extra));
}

const via = (user: string) => ({ join_authorised_via_users_server: user });

function judgeFirstJoin(version: string, user: string, createContent: JsonObject = {}, extraPrev = false): Outcome {
  const room = new SketchedRoom(version, alice, createContent);
  const prev = extraPrev ? [room.create, room.event({ type: 'x', sender: alice })] : [room.create];
  return judge(room, { ...member(user, 'join'), prev });
}

export const memberRows: RuleRow[] = [
  {
    at: '1-5: 5.1; 6-11: 4.1; 12: 5.1',
    passes: ['a member event with a state key', (version) => judge(furnishedRoom(version), member(carol, 'leave'))],
    fails: [
      'a member event without one',
      (version) =>
        judge(furnishedRoom(version), { type: 'm.room.member', sender: carol, content: { membership: 'leave' } }),
      'the member event names no user or no membership',
    ],
  },
  {
    at: '1-5: 5.1; 6-11: 4.1; 12: 5.1',
    passes: ['a member event with a membership', (version) => judge(furnishedRoom(version), member(carol, 'leave'))],
    fails: [
      'a member event without one',
      (version) => judge(furnishedRoom(version), { type: 'm.room.member', sender: carol, stateKey: carol }),
      'the member event names no user or no membership',
    ],
  },
  {
    at: '8-11: 4.2.1; 12: 5.2.1',
    passes: [
      'a join with the signature of the server that vouches for it',
      (version) => judgeSigners(version, member(dan, 'join', dan, via(bob)), ['d.test', 'b.test']),
    ],
    fails: [
      'a join without it',
      (version) => judgeSigners(version, member(dan, 'join', dan, via(bob)), ['d.test']),
      'not signed by b.test',
    ],
    elsewhere: { fails: 'allowed' },
  },
  {
    at: '8-11: 4.2.1; 12: 5.2.1',
    passes: ['a join that a user vouches for', (version) => judgeJoin(version, 'public', 'leave', via(bob))],
    fails: [
      'a join that names nobody whose server could sign',
      (version) => judgeJoin(version, 'public', 'leave', via('bob')),
      'join_authorised_via_users_server is not a user id',
    ],
    elsewhere: { fails: 'allowed' },
  },
  {
    at: '1-5: 5.6; 6: 4.6; 7: 4.7; 8-11: 4.8; 12: 5.8',
    passes: ['a membership that exists', (version) => judge(furnishedRoom(version), member(carol, 'leave'))],
    fails: [
      'a membership that does not',
      (version) => judge(furnishedRoom(version), member(carol, 'lurk')),
      'the membership is unknown',
    ],
  },
];

export const joinRows: RuleRow[] = [
  {
    at: '1-5: 5.2.1; 6-7: 4.2.1; 8-11: 4.3.1; 12: 5.3.1',
    passes: ["the creator's join straight behind the create event", (version) => judgeFirstJoin(version, alice)],
    fails: [
      'the same with another previous event',
      (version) => judgeFirstJoin(version, alice, {}, true),
      'the user is not invited',
    ],
  },
  {
    at: '1-5: 5.2.1; 6-7: 4.2.1; 8-10: 4.3.1',
    passes: [
      'the first join of whom the create event names',
      (version) => judgeFirstJoin(version, bob, { creator: bob }),
    ],
    fails: [
      'the first join of its sender, where it names another',
      (version) => judgeFirstJoin(version, alice, { creator: bob }),
      'the user is not invited',
    ],
    elsewhere: { passes: 'the user is not invited', fails: 'allowed' },
  },
  {
    at: '12: 5.3.1',
    passes: [
      'the first join of the sender of the create event',
      (version) => judgeFirstJoin(version, alice, { additional_creators: [bob] }),
    ],
    fails: [
      'the first join of a further creator',
      (version) => judgeFirstJoin(version, bob, { additional_creators: [bob] }),
      'the user is not invited',
    ],
    elsewhere: { fails: 'the user is not invited' },
  },
  {
    at: '1-5: 5.2.2; 6-7: 4.2.2; 8-11: 4.3.2; 12: 5.3.2',
    passes: ['a join of oneself', (version) => judgeJoin(version, 'public', 'leave')],
    fails: [
      'a join of another',
      (version) => {
        const room = furnishedRoom(version);
        room.set('m.room.join_rules', '', alice, { join_rule: 'public' });
        return judge(room, member(dan, 'join', alice));
      },
      'nobody can join for another user',
    ],
  },
  {
    at: '1-5: 5.2.3; 6-7: 4.2.3; 8-11: 4.3.3; 12: 5.3.3',
    passes: ['a join of somebody who was kicked', (version) => judgeJoin(version, 'public', 'leave')],
    fails: [
      'a join of somebody who was banned',
      (version) => judgeJoin(version, 'public', 'ban'),
      'the user is banned',
    ],
  },
  {
    at: '1-5: 5.2.4; 6-7: 4.2.4; 8-11: 4.3.4; 12: 5.3.4',
    passes: ['a join of the invited where it takes an invite', (version) => judgeJoin(version, 'invite', 'invite')],
    fails: ['a join of others there', (version) => judgeJoin(version, 'invite', 'leave'), 'the user is not invited'],
  },
  {
    at: '1-5: 5.2.4; 6-7: 4.2.4; 8-11: 4.3.4; 12: 5.3.4',
    passes: ['a new join of the joined where it takes an invite', (version) => judgeJoin(version, 'invite', 'join')],
    fails: [
      'a join there of somebody who can only have knocked',
      (version) => judgeJoin(version, 'invite', 'knock'),
      'the user is not invited',
    ],
  },
  {
    at: '7: 4.2.4; 8-11: 4.3.4; 12: 5.3.4',
    passes: ['a join of the invited where one can knock', (version) => judgeJoin(version, 'knock', 'invite')],
    fails: [
      'a join there of somebody who knocked',
      (version) => judgeJoin(version, 'knock', 'knock'),
      'the user is not invited',
    ],
    elsewhere: { passes: 'the join rule lets nobody in' },
  },
  {
    at: '8-11: 4.3.5.1; 12: 5.3.5.1',
    passes: ['a join of the invited under conditions', (version) => judgeJoin(version, 'restricted', 'invite')],
    fails: [
      'a join there of somebody who knocked',
      (version) => judgeJoin(version, 'restricted', 'knock'),
      'the user is neither invited nor vouched for',
    ],
    elsewhere: { passes: 'the join rule lets nobody in' },
  },
  {
    at: '8-11: 4.3.5.2; 12: 5.3.5.2',
    passes: [
      'a join that is vouched for by somebody who may invite',
      (version) => judgeJoin(version, 'restricted', 'leave', via(bob), { invite: 50 }),
    ],
    fails: [
      'a join that is vouched for by somebody who may not',
      (version) => judgeJoin(version, 'restricted', 'leave', via(carol), { invite: 50 }),
      'who vouches for the user may not invite',
    ],
    elsewhere: { passes: 'the join rule lets nobody in' },
  },
  {
    at: '8-11: 4.3.5.2; 12: 5.3.5.2',
    passes: [
      'a join that is vouched for by somebody who is joined',
      (version) => judgeJoin(version, 'restricted', 'leave', via(carol)),
    ],
    fails: [
      'a join that is vouched for by somebody who is not',
      (version) => judgeJoin(version, 'restricted', 'leave', via('@eve:e.test')),
      'who vouches for the user is not joined',
    ],
    elsewhere: { passes: 'the join rule lets nobody in' },
  },
  {
    at: '8-11: 4.3.5.3; 12: 5.3.5.3',
    passes: ['a join that is vouched for', (version) => judgeJoin(version, 'restricted', 'leave', via(bob))],
    fails: [
      'a join that is not',
      (version) => judgeJoin(version, 'restricted', 'leave'),
      'the user is neither invited nor vouched for',
    ],
    elsewhere: { passes: 'the join rule lets nobody in' },
  },
  {
    at: '10-11: 4.3.5.1; 12: 5.3.5.1',
    passes: [
      'a join of the invited where one can knock or meet a condition',
      (version) => judgeJoin(version, 'knock_restricted', 'invite'),
    ],
    fails: [
      'a join there of somebody who knocked',
      (version) => judgeJoin(version, 'knock_restricted', 'knock'),
      'the user is neither invited nor vouched for',
    ],
    elsewhere: { passes: 'the join rule lets nobody in' },
  },
  {
    at: '10-11: 4.3.5.3; 12: 5.3.5.3',
    passes: [
      'a join that is vouched for where one can knock or meet a condition',
      (version) => judgeJoin(version, 'knock_restricted', 'leave', via(bob)),
    ],
    fails: [
      'a join there that is not',
      (version) => judgeJoin(version, 'knock_restricted', 'leave'),
      'the user is neither invited nor vouched for',
    ],
    elsewhere: { passes: 'the join rule lets nobody in' },
  },
  {
    at: '1-5: 5.2.5; 6-7: 4.2.5; 8-11: 4.3.6; 12: 5.3.6',
    passes: ['a join of anybody in public', (version) => judgeJoin(version, 'public', 'leave')],
    fails: [
      'the same where it takes an invite',
      (version) => judgeJoin(version, 'invite', 'leave'),
      'the user is not invited',
    ],
  },
  {
    at: '1-5: 5.2.6; 6-7: 4.2.6; 8-11: 4.3.7; 12: 5.3.7',
    passes: ['a join of the invited under a rule that exists', (version) => judgeJoin(version, 'invite', 'invite')],
    fails: [
      'a join of the invited under one that means nothing',
      (version) => judgeJoin(version, 'private', 'invite'),
      'the join rule lets nobody in',
    ],
  },
];

function judgeBan(version: string, sender: string, target: string, levels: JsonObject = {}): Outcome {
  return judge(furnishedRoom(version, levels), member(target, 'ban', sender));
}

export const banRows: RuleRow[] = [
  {
    at: '1-5: 5.5.1; 6: 4.5.1; 7: 4.5.1; 8-11: 4.6.1; 12: 5.6.1',
    passes: ['a ban by somebody who is joined', (version) => judgeBan(version, bob, carol)],
    fails: [
      'a ban by somebody who has left',
      (version) => {
        const room = furnishedRoom(version);
        room.member(bob, 'leave');
        return judge(room, member(carol, 'ban', bob));
      },
      'the sender is not joined',
    ],
  },
  {
    at: '1-5: 5.5.2; 6-7: 4.5.2; 8-11: 4.6.2; 12: 5.6.2',
    passes: ['a ban with the ban level', (version) => judgeBan(version, bob, carol, { ban: 50 })],
    fails: [
      'a ban without it',
      (version) => judgeBan(version, bob, carol, { ban: 51 }),
      'the sender may not ban the user',
    ],
  },
  {
    at: '1-5: 5.5.3; 6-7: 4.5.3; 8-11: 4.6.3; 12: 5.6.3',
    passes: ['a ban of somebody of less power', (version) => judgeBan(version, alice, bob)],
    fails: [
      'a ban of somebody of equal power',
      (version) => judgeBan(version, bob, carol, { users_default: 50 }),
      'the sender may not ban the user',
    ],
  },
];

function judgeKnock(version: string, joinRule: string, sender = dan, from = 'leave'): Outcome {
  const room = roomWithDan(version, from);
  room.set('m.room.join_rules', '', alice, { join_rule: joinRule });
  return judge(room, member(dan, 'knock', sender));
}

export const knockRows: RuleRow[] = [
  {
    at: '7: 4.6.1; 8-11: 4.7.1; 12: 5.7.1',
    passes: ['a knock where one can knock', (version) => judgeKnock(version, 'knock')],
    fails: ['a knock where one cannot', (version) => judgeKnock(version, 'invite'), 'nobody can knock on this room'],
    elsewhere: { passes: 'the membership is unknown' },
  },
  {
    at: '10-11: 4.7.1; 12: 5.7.1',
    passes: ['a knock where one can knock or meet a condition', (version) => judgeKnock(version, 'knock_restricted')],
    fails: [
      'a knock where one can meet a condition only',
      (version) => judgeKnock(version, 'restricted'),
      'nobody can knock on this room',
    ],
    elsewhere: { passes: /^the membership is unknown|nobody can knock on this room$/ },
  },
  {
    at: '7: 4.6.2; 8-11: 4.7.2; 12: 5.7.2',
    passes: ['a knock for oneself', (version) => judgeKnock(version, 'knock')],
    fails: [
      'a knock for another',
      (version) => judgeKnock(version, 'knock', alice),
      'nobody can knock for another user',
    ],
    elsewhere: { passes: 'the membership is unknown' },
  },
  {
    at: '7: 4.6.3; 8-11: 4.7.3; 12: 5.7.3',
    passes: ['a second knock', (version) => judgeKnock(version, 'knock', dan, 'knock')],
    fails: [
      'a knock of the banned',
      (version) => judgeKnock(version, 'knock', dan, 'ban'),
      'the user is banned, invited or joined',
    ],
    elsewhere: { passes: 'the membership is unknown' },
  },
  {
    at: '7: 4.6.4; 8-11: 4.7.4; 12: 5.7.4',
    passes: ['a knock of somebody who has left', (version) => judgeKnock(version, 'knock', dan, 'leave')],
    fails: [
      'a knock of the invited',
      (version) => judgeKnock(version, 'knock', dan, 'invite'),
      'the user is banned, invited or joined',
    ],
    elsewhere: { passes: 'the membership is unknown' },
  },
];

export const leaveRows: RuleRow[] = [
  {
    at: '1-5: 5.4.1; 6-7: 4.4.1; 8-11: 4.5.1; 12: 5.5.1',
    passes: ['a leave of the joined', (version) => judge(furnishedRoom(version), member(carol, 'leave'))],
    fails: [
      'a leave of somebody who has left',
      (version) => judge(roomWithDan(version, 'leave'), member(dan, 'leave')),
      'the user has nothing to leave',
    ],
  },
  {
    at: '1-5: 5.4.1; 6-7: 4.4.1; 8-11: 4.5.1; 12: 5.5.1',
    passes: ['a leave of the invited', (version) => judge(roomWithDan(version, 'invite'), member(dan, 'leave'))],
    fails: [
      'a leave of the banned',
      (version) => judge(roomWithDan(version, 'ban'), member(dan, 'leave')),
      'the user has nothing to leave',
    ],
  },
  {
    at: '7: 4.4.1; 8-11: 4.5.1; 12: 5.5.1',
    passes: [
      'a leave of somebody who knocked',
      (version) => judge(roomWithDan(version, 'knock'), member(dan, 'leave')),
    ],
    fails: [
      'a leave of somebody who was never there',
      (version) => judge(furnishedRoom(version), member(dan, 'leave')),
      'the user has nothing to leave',
    ],
    elsewhere: { passes: 'the user has nothing to leave' },
  },
  {
    at: '1-5: 5.4.2; 6-7: 4.4.2; 8-11: 4.5.2; 12: 5.5.2',
    passes: [
      'a kick by somebody who is joined',
      (version) => judge(furnishedRoom(version), member(carol, 'leave', bob)),
    ],
    fails: [
      'a kick by somebody who is not',
      (version) => {
        const room = furnishedRoom(version);
        room.member(bob, 'leave');
        return judge(room, member(carol, 'leave', bob));
      },
      'the sender is not joined',
    ],
  },
  {
    at: '1-5: 5.4.3; 6-7: 4.4.3; 8-11: 4.5.3; 12: 5.5.3',
    passes: [
      'a ban lifted with the ban level',
      (version) => judge(roomWithDan(version, 'ban', { ban: 50 }), member(dan, 'leave', bob)),
    ],
    fails: [
      'a ban lifted without it',
      (version) => judge(roomWithDan(version, 'ban', { ban: 51 }), member(dan, 'leave', bob)),
      'the sender may not lift a ban',
    ],
  },
  {
    at: '1-5: 5.4.4; 6-7: 4.4.4; 8-11: 4.5.4; 12: 5.5.4',
    passes: [
      'a kick with the kick level',
      (version) => judge(furnishedRoom(version, { kick: 50 }), member(carol, 'leave', bob)),
    ],
    fails: [
      'a kick without it',
      (version) => judge(furnishedRoom(version, { kick: 51 }), member(carol, 'leave', bob)),
      'the sender may not kick the user',
    ],
  },
  {
    at: '1-5: 5.4.5; 6-7: 4.4.5; 8-11: 4.5.5; 12: 5.5.5',
    passes: [
      'a kick of somebody of less power',
      (version) => judge(furnishedRoom(version), member(bob, 'leave', alice)),
    ],
    fails: [
      'a kick of somebody of equal power',
      (version) => judge(furnishedRoom(version, { users_default: 50 }), member(carol, 'leave', bob)),
      'the sender may not kick the user',
    ],
  },
];

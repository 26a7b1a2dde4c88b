import type { JsonObject } from '../../../../../src/matrix/pdu.ts';
import {
  alice,
  bob,
  carol,
  dan,
  furnishedRoom,
  judge,
  member,
  type Outcome,
  type RuleRow,
  roomWithDan,
} from './rule-table.ts';

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

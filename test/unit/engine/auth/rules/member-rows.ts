import type { JsonObject } from '../../../../../src/matrix/pdu.ts';
import { SketchedRoom } from '../../../../support/room-events.ts';
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
import { judgeSigners } from './signers.ts';

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

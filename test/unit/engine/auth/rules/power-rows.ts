import type { JsonObject } from '../../../../../src/matrix/pdu.ts';
import { SketchedRoom } from '../../../../support/room-events.ts';
import { alice, bob, carol, founder, judge, type Outcome, type RuleRow } from './rule-table.ts';

const current: JsonObject = {
  ban: 50,
  kick: 60,
  events: { 'm.room.name': 50, 'm.room.topic': 60 },
  notifications: { room: 50, 'org.example': 60 },
};
const currentUsers = { [bob]: 50, [carol]: 50, '@dan:d.test': 20 };

/** Bob, at 50, makes this of the levels above. */
function judgeChange(version: string, change: (levels: JsonObject) => JsonObject): Outcome {
  const room = new SketchedRoom(version, alice);
  for (const user of [alice, bob, carol]) room.member(user, 'join');
  const before = { ...current, users: { ...founder(room), ...currentUsers }, state_default: 50 };
  room.set('m.room.power_levels', '', alice, before);
  return judge(room, { type: 'm.room.power_levels', stateKey: '', sender: bob, content: change(before) });
}

/** Alice sets the first levels of her room. */
function judgeFirst(version: string, content: JsonObject): Outcome {
  const room = new SketchedRoom(version, alice);
  room.member(alice, 'join');
  return judge(room, { type: 'm.room.power_levels', stateKey: '', sender: alice, content });
}

const set = (part: JsonObject) => (levels: JsonObject) => ({ ...levels, ...part });
const setIn = (map: string, part: JsonObject) => (levels: JsonObject) => ({
  ...levels,
  [map]: { ...(levels[map] as JsonObject), ...part },
});
const without = (key: string) => (levels: JsonObject) =>
  Object.fromEntries(Object.entries(levels).filter(([name]) => name !== key));
const withoutIn = (map: string, key: string) => (levels: JsonObject) => ({
  ...levels,
  [map]: without(key)(levels[map] as JsonObject),
});

const tooLow = (what: string) => `the sender's power level is too low to change ${what}`;

const shapeRows: RuleRow[] = [
  {
    at: '10-11: 9.1; 12: 10.1',
    passes: ['a level that is an integer', (version) => judgeFirst(version, { ban: 10 })],
    fails: [
      'a level that is the text of one',
      (version) => judgeFirst(version, { ban: '10' }),
      'ban is not an integer',
    ],
    elsewhere: { fails: 'allowed' },
  },
  {
    at: '10-11: 9.2; 12: 10.2',
    passes: ['levels of types that are integers', (version) => judgeFirst(version, { events: { x: 10 } })],
    fails: [
      'levels of types that are texts of them',
      (version) => judgeFirst(version, { events: { x: '10' } }),
      'events is not an object of integers',
    ],
    elsewhere: { fails: 'allowed' },
  },
  {
    at: '10-11: 9.2; 12: 10.2',
    passes: [
      'levels of notifications that are integers',
      (version) => judgeFirst(version, { notifications: { x: 1 } }),
    ],
    fails: [
      'levels of notifications that are texts of them',
      (version) => judgeFirst(version, { notifications: { x: '1' } }),
      'notifications is not an object of integers',
    ],
    elsewhere: { fails: 'allowed' },
  },
  {
    at: '1-5: 10.1; 6-9: 9.1; 10-11: 9.3; 12: 10.3',
    passes: ['levels of users', (version) => judgeFirst(version, { users: { [bob]: 10 } })],
    fails: [
      'a level of somebody who is no user',
      (version) => judgeFirst(version, { users: { bob: 10 } }),
      'users is not an object of integers by user id',
    ],
  },
  {
    at: '1-5: 10.1; 6-9: 9.1; 10-11: 9.3; 12: 10.3',
    passes: ['no levels of users', (version) => judgeFirst(version, {})],
    fails: [
      'levels of users that are a list',
      (version) => judgeFirst(version, { users: [] }),
      'users is not an object of integers by user id',
    ],
  },
  {
    at: '1-5: 10.1; 6-9: 9.1',
    passes: [
      'a level of a user that is the text of an integer',
      (version) => judgeFirst(version, { users: { [bob]: ' +010 ' } }),
    ],
    fails: [
      'one that is another text',
      (version) => judgeFirst(version, { users: { [bob]: '1O' } }),
      'users is not an object of integers by user id',
    ],
    elsewhere: { passes: 'users is not an object of integers by user id' },
  },
  {
    at: '12: 10.4',
    passes: ['levels of users who did not make the room', (version) => judgeFirst(version, { users: { [bob]: 100 } })],
    fails: [
      'a level of who made the room',
      (version) => judgeFirst(version, { users: { [alice]: 100 } }),
      'a creator cannot be given a power level',
    ],
    elsewhere: { fails: 'allowed' },
  },
  {
    at: '12: 10.4',
    passes: ['levels of users who are no creators', (version) => judgeFirst(version, { users: { [carol]: 100 } })],
    fails: [
      'a level of a further creator',
      (version) => {
        const room = new SketchedRoom(version, alice, { additional_creators: [bob] });
        room.member(alice, 'join');
        return judge(room, {
          type: 'm.room.power_levels',
          stateKey: '',
          sender: alice,
          content: { users: { [bob]: 100 } },
        });
      },
      'a creator cannot be given a power level',
    ],
    elsewhere: { fails: 'allowed' },
  },
  {
    at: '1-5: 10.2; 6-9: 9.2; 10-11: 9.4; 12: 10.5',
    passes: ['first levels, however high', (version) => judgeFirst(version, { ban: 1000, users: { [bob]: 1000 } })],
    fails: ['the same as a change', (version) => judgeChange(version, set({ ban: 1000 })), tooLow('ban')],
  },
];

const changeRows: RuleRow[] = [
  {
    at: '1-5: 10.3.1; 6-9: 9.3.1; 10-11: 9.5.1; 12: 10.6.1',
    passes: ['a level lowered from the own one', (version) => judgeChange(version, set({ ban: 40 }))],
    fails: [
      'a level lowered from above the own one',
      (version) => judgeChange(version, set({ kick: 40 })),
      tooLow('kick'),
    ],
  },
  {
    at: '1-5: 10.3.1; 6-9: 9.3.1; 10-11: 9.5.1; 12: 10.6.1',
    passes: ['a level removed that was the own one', (version) => judgeChange(version, without('ban'))],
    fails: ['a level removed that was above it', (version) => judgeChange(version, without('kick')), tooLow('kick')],
  },
  {
    at: '1-5: 10.3.2; 6-9: 9.3.2; 10-11: 9.5.2; 12: 10.6.2',
    passes: ['a level added up to the own one', (version) => judgeChange(version, set({ redact: 50 }))],
    fails: ['a level added above it', (version) => judgeChange(version, set({ redact: 51 })), tooLow('redact')],
  },
  {
    at: '1-5: 10.4.1; 6-9: 9.4.1; 10-11: 9.6.1; 12: 10.7.1',
    passes: [
      'the level of a type lowered from the own one',
      (version) => judgeChange(version, setIn('events', { 'm.room.name': 0 })),
    ],
    fails: [
      'the level of a type lowered from above it',
      (version) => judgeChange(version, setIn('events', { 'm.room.topic': 0 })),
      tooLow('events, m.room.topic'),
    ],
  },
  {
    at: '1-5: 10.4.1; 6-9: 9.4.1; 10-11: 9.6.1; 12: 10.7.1',
    passes: [
      'the level of a type removed that was the own one',
      (version) => judgeChange(version, withoutIn('events', 'm.room.name')),
    ],
    fails: [
      'the level of a type removed that was above it',
      (version) => judgeChange(version, withoutIn('events', 'm.room.topic')),
      tooLow('events, m.room.topic'),
    ],
  },
  {
    at: '1-5: 10.5.1; 6-9: 9.5.1; 10-11: 9.7.1; 12: 10.8.1',
    passes: [
      'the level of a type added up to the own one',
      (version) => judgeChange(version, setIn('events', { added: 50 })),
    ],
    fails: [
      'the level of a type added above it',
      (version) => judgeChange(version, setIn('events', { added: 51 })),
      tooLow('events, added'),
    ],
  },
  {
    at: '6-9: 9.4.1; 10-11: 9.6.1; 12: 10.7.1',
    passes: [
      'the level of a notification lowered from the own one',
      (version) => judgeChange(version, setIn('notifications', { room: 0 })),
    ],
    fails: [
      'the level of a notification lowered from above it',
      (version) => judgeChange(version, setIn('notifications', { 'org.example': 0 })),
      tooLow('notifications, org.example'),
    ],
    elsewhere: { fails: 'allowed' },
  },
  {
    at: '6-9: 9.5.1; 10-11: 9.7.1; 12: 10.8.1',
    passes: [
      'the level of a notification raised to the own one',
      (version) => judgeChange(version, setIn('notifications', { added: 50 })),
    ],
    fails: [
      'the level of a notification raised above it',
      (version) => judgeChange(version, setIn('notifications', { room: 51 })),
      tooLow('notifications, room'),
    ],
    elsewhere: { fails: 'allowed' },
  },
  {
    at: '1-5: 10.6.1; 6-9: 9.6.1; 10-11: 9.8.1; 12: 10.9.1',
    passes: [
      'the level of somebody below changed',
      (version) => judgeChange(version, setIn('users', { '@dan:d.test': 0 })),
    ],
    fails: [
      'the level of an equal changed',
      (version) => judgeChange(version, setIn('users', { [carol]: 0 })),
      tooLow(`users, ${carol}`),
    ],
  },
  {
    at: '1-5: 10.6.1; 6-9: 9.6.1; 10-11: 9.8.1; 12: 10.9.1',
    passes: ['the own level removed', (version) => judgeChange(version, withoutIn('users', bob))],
    fails: [
      'the level of an equal removed',
      (version) => judgeChange(version, withoutIn('users', carol)),
      tooLow(`users, ${carol}`),
    ],
  },
  {
    at: '1-5: 10.7.1; 6-9: 9.7.1; 10-11: 9.9.1; 12: 10.10.1',
    passes: ['a user given the own level', (version) => judgeChange(version, setIn('users', { '@eve:e.test': 50 }))],
    fails: [
      'a user given more',
      (version) => judgeChange(version, setIn('users', { '@eve:e.test': 51 })),
      tooLow('users, @eve:e.test'),
    ],
  },
  {
    at: '1-5: 10.7.1; 6-9: 9.7.1; 10-11: 9.9.1; 12: 10.10.1',
    passes: ['oneself given less', (version) => judgeChange(version, setIn('users', { [bob]: 49 }))],
    fails: [
      'oneself given more',
      (version) => judgeChange(version, setIn('users', { [bob]: 51 })),
      tooLow(`users, ${bob}`),
    ],
  },
  {
    at: '1-5: 10.8; 6-9: 9.8; 10-11: 9.10; 12: 10.11',
    passes: ['the same levels said again', (version) => judgeChange(version, set({}))],
    fails: ['the same but for one', (version) => judgeChange(version, set({ kick: 61 })), tooLow('kick')],
  },
];

export const powerRows: RuleRow[] = [...shapeRows, ...changeRows];

import type { JsonObject } from '../../../../../src/matrix/pdu.ts';
import { alice, bob, carol, dan, furnishedRoom, judge, judgeEvent, type Outcome, type RuleRow } from './rule-table.ts';

function judgeAliases(version: string, sender: string, stateKey?: string): Outcome {
  const sketch = { type: 'm.room.aliases', sender, content: { aliases: [] } };
  return judge(furnishedRoom(version), stateKey === undefined ? sketch : { ...sketch, stateKey });
}

export const aliasesRows: RuleRow[] = [
  {
    at: '1-5: 4.1',
    passes: ['aliases with a state key', (version) => judgeAliases(version, bob, 'b.test')],
    fails: ['aliases without one', (version) => judgeAliases(version, bob), 'the aliases are no state'],
    elsewhere: { fails: 'allowed' },
  },
  {
    at: '1-5: 4.2',
    passes: ["aliases of one's own server", (version) => judgeAliases(version, bob, 'b.test')],
    fails: [
      'aliases of another server',
      (version) => judgeAliases(version, bob, 'a.test'),
      "the aliases are another server's",
    ],
    elsewhere: { fails: 'allowed' },
  },
  {
    at: '1-5: 4.3',
    passes: ['aliases by somebody who never joined', (version) => judgeAliases(version, dan, 'd.test')],
    fails: [
      'aliases of another server by somebody who never joined',
      (version) => judgeAliases(version, dan, 'a.test'),
      "the aliases are another server's",
    ],
    elsewhere: { passes: 'the sender is not joined', fails: 'the sender is not joined' },
  },
];

function judgePromise(version: string, sender: string, levels: JsonObject): Outcome {
  return judge(furnishedRoom(version, levels), { type: 'm.room.third_party_invite', stateKey: 'token', sender });
}

function judgeState(version: string, sender: string, stateKey: string, levels: JsonObject = {}): Outcome {
  return judge(furnishedRoom(version, levels), { type: 'x', sender, stateKey });
}

export const eventRows: RuleRow[] = [
  {
    at: '1-5: 6; 6-11: 5; 12: 6',
    passes: [
      'a message of somebody who is joined',
      (version) => judge(furnishedRoom(version), { type: 'x', sender: carol }),
    ],
    fails: [
      'a message of somebody who is not',
      (version) => judge(furnishedRoom(version), { type: 'x', sender: dan }),
      'the sender is not joined',
    ],
  },
  {
    at: '1-5: 7.1; 6-11: 6.1; 12: 7.1',
    passes: [
      'a promise of an invite with the invite level, whatever its type takes',
      (version) => judgePromise(version, bob, { invite: 50, events: { 'm.room.third_party_invite': 90 } }),
    ],
    fails: [
      'one without it, whatever its type takes',
      (version) => judgePromise(version, carol, { invite: 50, events: { 'm.room.third_party_invite': 0 } }),
      'the sender may not invite',
    ],
  },
  {
    at: '1-5: 8; 6-11: 7; 12: 8',
    passes: ['state with the level that state takes', (version) => judgeState(version, bob, '')],
    fails: ['state without it', (version) => judgeState(version, carol, ''), 'the sender may not send x'],
  },
  {
    at: '1-5: 8; 6-11: 7; 12: 8',
    passes: [
      'a message with the level of its type',
      (version) => judge(furnishedRoom(version, { events: { x: 50 } }), { type: 'x', sender: bob }),
    ],
    fails: [
      'a message without it',
      (version) => judge(furnishedRoom(version, { events: { x: 51 } }), { type: 'x', sender: bob }),
      'the sender may not send x',
    ],
  },
  {
    at: '1-5: 9; 6-11: 8; 12: 9',
    passes: ["state under one's own name", (version) => judgeState(version, bob, bob)],
    fails: [
      'state under the name of another',
      (version) => judgeState(version, alice, bob),
      "the state key is another user's",
    ],
  },
  {
    at: '1-5: 9; 6-11: 8; 12: 9',
    passes: ['state under a key that is no name', (version) => judgeState(version, alice, 'bob')],
    fails: [
      'state under a key that begins like one',
      (version) => judgeState(version, alice, '@'),
      "the state key is another user's",
    ],
  },
  {
    at: '1-2: 12; 3-5: 11; 6-11: 10; 12: 11',
    passes: ['whatever else a member says', (version) => judge(furnishedRoom(version), { type: 'x', sender: carol })],
    fails: [
      'what takes more than the member has',
      (version) => judge(furnishedRoom(version, { events_default: 1 }), { type: 'x', sender: carol }),
      'the sender may not send x',
    ],
  },
];

/** Carol redacts an event of this id, or of none. */
function judgeRedaction(version: string, redacts: string | undefined, levels: JsonObject = {}): Outcome {
  const room = furnishedRoom(version, levels);
  const event = room.event({ type: 'm.room.redaction', sender: carol });
  return judgeEvent(
    room,
    redacts === undefined ? event : { ...event, pdu: { ...event.pdu, redacts: redacts as never } },
  );
}

export const redactionRows: RuleRow[] = [
  {
    at: '1-2: 11.1',
    passes: [
      "a redaction of another server's event with the redact level",
      (version) => judgeRedaction(version, '$event:a.test', { redact: 0 }),
    ],
    fails: [
      'one without it',
      (version) => judgeRedaction(version, '$event:a.test', { redact: 1 }),
      "the sender may not redact another server's event",
    ],
    elsewhere: { fails: 'allowed' },
  },
  {
    at: '1-2: 11.2',
    passes: [
      "a redaction of one's own server's event without the redact level",
      (version) => judgeRedaction(version, '$event:c.test'),
    ],
    fails: [
      "one of another server's",
      (version) => judgeRedaction(version, '$event:c.test.example'),
      "the sender may not redact another server's event",
    ],
    elsewhere: { fails: 'allowed' },
  },
  {
    at: '1-2: 11.3',
    passes: [
      'a redaction of nothing with the redact level',
      (version) => judgeRedaction(version, undefined, { redact: 0 }),
    ],
    fails: [
      'one without it',
      (version) => judgeRedaction(version, undefined),
      "the sender may not redact another server's event",
    ],
    elsewhere: { fails: 'allowed' },
  },
];

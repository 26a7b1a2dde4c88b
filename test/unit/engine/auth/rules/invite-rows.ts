import type { JsonObject } from '../../../../../src/matrix/pdu.ts';
import type { ServerName } from '../../../../../src/matrix/server-name.ts';
import { signJson } from '../../../../../src/signing/sign-json.ts';
import { alice, bob, carol, dan, furnishedRoom, judge, member, type Outcome, type RuleRow } from './rule-table.ts';
import { keyOf } from './signers.ts';

/** The identity server's answer: whoever has the address is this user. */
function sign(said: JsonObject, server = 'id.test'): JsonObject {
  return signJson(said, { server: server as ServerName, key: keyOf(server) });
}

const said = { mxid: dan, token: 'token' };
const good = sign(said);
const byUnknownKey = sign(said, 'other.test');
const publicKey = keyOf('id.test').publicKey;

/** Alice invites Dan by a promise that she made. */
function judgePromised(
  version: string,
  invite: unknown,
  situation: { promise?: JsonObject; from?: string; sender?: string } = {},
): Outcome {
  const room = furnishedRoom(version);
  if (situation.from) room.member(dan, situation.from, alice);
  room.set('m.room.third_party_invite', 'token', alice, situation.promise ?? { public_key: publicKey });
  return judge(room, member(dan, 'invite', situation.sender ?? alice, { third_party_invite: invite }));
}

const at = (number: string) => `1-5: 5.3.${number}; 6-7: 4.3.${number}; 8-11: 4.4.${number}; 12: 5.4.${number}`;

export const inviteRows: RuleRow[] = [
  {
    at: at('1.1'),
    passes: [
      'a promised invite of somebody who was kicked',
      (version) => judgePromised(version, { signed: good }, { from: 'leave' }),
    ],
    fails: [
      'a promised invite of somebody who was banned',
      (version) => judgePromised(version, { signed: good }, { from: 'ban' }),
      'the user is banned',
    ],
  },
  {
    at: at('1.2'),
    passes: ['a promised invite that is signed', (version) => judgePromised(version, { signed: good })],
    fails: [
      'a promised invite that is not',
      (version) => judgePromised(version, { display_name: 'D' }),
      'the third-party invite is not signed',
    ],
  },
  {
    at: at('1.3'),
    passes: ['a promised invite with a user', (version) => judgePromised(version, { signed: sign(said) })],
    fails: [
      'a promised invite without one',
      (version) => judgePromised(version, { signed: sign({ token: 'token' }) }),
      'the third-party invite has no mxid or no token',
    ],
  },
  {
    at: at('1.3'),
    passes: ['a promised invite with a token', (version) => judgePromised(version, { signed: sign(said) })],
    fails: [
      'a promised invite without one',
      (version) => judgePromised(version, { signed: sign({ mxid: dan }) }),
      'the third-party invite has no mxid or no token',
    ],
  },
  {
    at: at('1.4'),
    passes: ['a promised invite of the user it names', (version) => judgePromised(version, { signed: good })],
    fails: [
      'a promised invite of another',
      (version) => judgePromised(version, { signed: sign({ ...said, mxid: '@eve:e.test' }) }),
      "the third-party invite is another user's",
    ],
  },
  {
    at: at('1.5'),
    passes: ['a promised invite with a token that was given', (version) => judgePromised(version, { signed: good })],
    fails: [
      'a promised invite with one that was not',
      (version) => judgePromised(version, { signed: sign({ ...said, token: 'guess' }) }),
      'the room knows no such third-party invite',
    ],
  },
  {
    at: at('1.6'),
    passes: ['a promised invite of who promised', (version) => judgePromised(version, { signed: good })],
    fails: [
      'a promised invite of another member',
      (version) => judgePromised(version, { signed: good }, { sender: bob }),
      'the third-party invite is of another sender',
    ],
  },
  {
    at: at('1.7.1'),
    passes: [
      'a promised invite signed by the key of the promise',
      (version) => judgePromised(version, { signed: good }, { promise: { public_key: publicKey } }),
    ],
    fails: [
      'a promised invite signed by another key',
      (version) => judgePromised(version, { signed: byUnknownKey }, { promise: { public_key: publicKey } }),
      'no key of the third-party invite signed it',
    ],
  },
  {
    at: at('1.7.2'),
    passes: [
      'a promised invite signed by one of the keys of the promise',
      (version) => judgePromised(version, { signed: good }, { promise: keys('other.test', 'id.test') }),
    ],
    fails: [
      'a promised invite signed by none of them',
      (version) => judgePromised(version, { signed: good }, { promise: keys('other.test', 'third.test') }),
      'no key of the third-party invite signed it',
    ],
  },
  {
    at: at('1.8'),
    passes: ['a promised invite as it was signed', (version) => judgePromised(version, { signed: good })],
    fails: [
      'a promised invite that was changed afterwards',
      (version) => judgePromised(version, { signed: { ...good, more: 1 } }),
      'no key of the third-party invite signed it',
    ],
  },
  {
    at: at('2'),
    passes: [
      'an invite by somebody who is joined',
      (version) => judge(furnishedRoom(version), member(dan, 'invite', carol)),
    ],
    fails: [
      'an invite by somebody who is not',
      (version) => judge(furnishedRoom(version), member('@eve:e.test', 'invite', dan)),
      'the sender is not joined',
    ],
  },
  {
    at: at('3'),
    passes: ['an invite of somebody who has left', (version) => judgeInvite(version, 'leave')],
    fails: [
      'an invite of somebody who is joined',
      (version) => judgeInvite(version, 'join'),
      'the user is joined or banned',
    ],
  },
  {
    at: at('3'),
    passes: ['a second invite', (version) => judgeInvite(version, 'invite')],
    fails: [
      'an invite of somebody who is banned',
      (version) => judgeInvite(version, 'ban'),
      'the user is joined or banned',
    ],
  },
  {
    at: at('4'),
    passes: [
      'an invite with the invite level',
      (version) => judge(furnishedRoom(version, { invite: 50 }), member(dan, 'invite', bob)),
    ],
    fails: [
      'an invite without it',
      (version) => judge(furnishedRoom(version, { invite: 51 }), member(dan, 'invite', bob)),
      'the sender may not invite',
    ],
  },
  {
    at: at('5'),
    passes: [
      'an invite by anybody where no level is set',
      (version) => judge(furnishedRoom(version), member(dan, 'invite', carol)),
    ],
    fails: [
      'an invite by somebody below the level of all others',
      (version) => judge(furnishedRoom(version, { users_default: -1 }), member(dan, 'invite', carol)),
      'the sender may not invite',
    ],
  },
];

function keys(...servers: string[]): JsonObject {
  return { public_keys: servers.map((server) => ({ public_key: keyOf(server).publicKey })) };
}

function judgeInvite(version: string, from: string): Outcome {
  const room = furnishedRoom(version);
  room.member(dan, from, alice);
  return judge(room, member(dan, 'invite', alice));
}

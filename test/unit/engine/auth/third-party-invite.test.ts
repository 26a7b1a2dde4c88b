import { describe, expect, it } from 'vitest';
import { checkAuth } from '../../../../src/engine/auth/check.ts';
import type { JsonObject } from '../../../../src/matrix/pdu.ts';
import { supportedRoomVersions } from '../../../../src/matrix/room-versions.ts';
import type { ServerName } from '../../../../src/matrix/server-name.ts';
import { signingKeyOfSeed } from '../../../../src/signing/ed25519.ts';
import { signJson } from '../../../../src/signing/sign-json.ts';
import { SketchedRoom } from '../../../support/room-events.ts';

const alice = '@alice:a.test';
const bob = '@bob:b.test';
const key = signingKeyOfSeed(Buffer.alloc(32, 7), '0');
const otherKey = signingKeyOfSeed(Buffer.alloc(32, 8), '0');
const sign = (object: JsonObject, by = key) => signJson(object, { server: 'id.test' as ServerName, key: by });
const signed = sign({ mxid: bob, token: 'token' });

interface Situation {
  promise?: JsonObject | null;
  invite?: unknown;
  sender?: string;
  before?: string;
}

describe.each(supportedRoomVersions)('third-party invites in room version %s', (version) => {
  function judge(situation: Situation): string {
    const room = new SketchedRoom(version, alice);
    room.member(alice, 'join');
    room.member('@carol:c.test', 'join');
    if (situation.before) room.member(bob, situation.before, alice);
    const promise = situation.promise === undefined ? { public_key: key.publicKey } : situation.promise;
    if (promise) room.set('m.room.third_party_invite', 'token', alice, promise);
    const event = room.event({
      type: 'm.room.member',
      stateKey: bob,
      sender: situation.sender ?? alice,
      content: {
        membership: 'invite',
        third_party_invite: 'invite' in situation ? situation.invite : { display_name: 'B', signed },
      },
    });
    const verdict = checkAuth(event, room.find, room.version);
    return verdict.allowed ? 'allowed' : verdict.reason;
  }

  it.each<[string, Situation]>([
    ['signed by the promised key', {}],
    [
      'signed by one of several keys',
      { promise: { public_keys: [{ public_key: otherKey.publicKey }, { public_key: key.publicKey }] } },
    ],
    ['of somebody who knocked', { before: 'knock' }],
    ['of somebody who has joined meanwhile, which the rules do not ask', { before: 'join' }],
  ])('are allowed when %s', (_name, situation) => {
    expect(judge(situation)).toBe('allowed');
  });

  it.each<[string, Situation, string]>([
    ['1: of the banned', { before: 'ban' }, 'banned'],
    ['2: without signed', { invite: { display_name: 'B' } }, 'not signed'],
    ['2: that are no object', { invite: 'junk' }, 'not signed'],
    ['3: without mxid', { invite: { signed: sign({ token: 'token' }) } }, 'no mxid'],
    ['3: without token', { invite: { signed: sign({ mxid: bob }) } }, 'no mxid or no token'],
    ['4: for another user', { invite: { signed: sign({ mxid: '@eve:e.test', token: 'token' }) } }, "another user's"],
    ['5: that nobody promised', { promise: null }, 'knows no such'],
    ['5: with another token', { invite: { signed: sign({ mxid: bob, token: 'other' }) } }, 'knows no such'],
    ['6: of another sender than the promise', { sender: '@carol:c.test' }, 'another sender'],
    ['8: signed by another key', { invite: { signed: sign({ mxid: bob, token: 'token' }, otherKey) } }, 'no key'],
    ['8: not signed at all', { invite: { signed: { mxid: bob, token: 'token' } } }, 'no key'],
    ['8: changed after signing', { invite: { signed: { ...signed, extra: 1 } } }, 'no key'],
    ['8: with a promise that has no keys', { promise: {} }, 'no key'],
    [
      '8: with a promise whose keys are junk',
      { promise: { public_key: 5, public_keys: [null, { public_key: 'x' }] } },
      'no key',
    ],
  ])('are refused, rule %s', (_name, situation, reason) => {
    expect(judge(situation)).toMatch(reason);
  });
});

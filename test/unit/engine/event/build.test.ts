import { describe, expect, it } from 'vitest';
import {
  buildEvent,
  completeEvent,
  type EventTemplate,
  signEvent,
  withRedacts,
  withSignatures,
} from '../../../../src/engine/event/build.ts';
import { eventIdOf, signedTextOf } from '../../../../src/engine/event/event-id.ts';
import { isContentHashValid } from '../../../../src/engine/event/hash.ts';
import { findMissingSigner, listRequiredSigners, signedFormOf } from '../../../../src/engine/event/verify.ts';
import type { EventId, RoomId, UserId } from '../../../../src/matrix/ids.ts';
import type { JsonObject } from '../../../../src/matrix/pdu.ts';
import { getRoomVersion } from '../../../../src/matrix/room-versions.ts';
import type { ServerName } from '../../../../src/matrix/server-name.ts';
import { signingKeyOfSeed } from '../../../../src/signing/ed25519.ts';
import { signedBytes, signJson, verifySignedJson } from '../../../../src/signing/sign-json.ts';
import { makeEvent } from '../../../support/room-events.ts';

const version = getRoomVersion('11');
const keyOf = (seed: number) => signingKeyOfSeed(Buffer.alloc(32, seed), '1');
const signerOf = (server: string, seed: number) => {
  const signer = { server: server as ServerName, key: keyOf(seed) };
  return (object: JsonObject) => signJson(object, signer);
};
const template: EventTemplate = {
  type: 'm.room.message',
  sender: '@alice:a.test' as UserId,
  room_id: '!room:a.test' as RoomId,
  content: { body: 'hello' },
  depth: 1,
  origin_server_ts: 1,
  prev_events: [],
  auth_events: [],
};

function built(sketch: EventTemplate = template) {
  const result = buildEvent(sketch, version, signerOf('a.test', 1));
  if (result.outcome === 'malformed') throw new Error(result.reason);
  return result.event;
}

describe('building an event', () => {
  it('hashes it, signs its redacted form, and leaves the template alone', () => {
    const event = built();
    expect(isContentHashValid(event.pdu)).toBe(true);
    expect(
      verifySignedJson(signedFormOf(event.pdu, version), 'a.test' as ServerName, 'ed25519:1', keyOf(1).publicKey),
    ).toBe(true);
    expect(template).not.toHaveProperty('hashes');
  });

  it('signs the very text that its id is the hash of, by the room version that asks', () => {
    const { pdu, eventId } = built();
    expect(Buffer.from(signedTextOf(pdu, version))).toEqual(signedBytes(signedFormOf(pdu, version)));
    expect(eventIdOf(pdu, version)).toBe(eventId);
    const create = { ...pdu, type: 'm.room.create', content: { creator: '@alice:a.test', more: 1 } };
    expect(signedTextOf(create, getRoomVersion('10'))).not.toContain('more');
    expect(signedTextOf(create, version)).toContain('more');
    expect(signedTextOf(create, getRoomVersion('10'))).not.toContain('more');
  });

  it('says so, and does not throw, when the content cannot be an event', () => {
    const outcome = (content: JsonObject) => buildEvent({ ...template, content }, version, signerOf('a.test', 1));
    expect(outcome({ a: 1.5 })).toMatchObject({ outcome: 'malformed', problem: 'format' });
    expect(outcome({ a: 'x'.repeat(65_536) })).toMatchObject({ outcome: 'malformed', problem: 'too_large' });
  });

  it('keeps a __proto__ key of the content', () => {
    const event = built({ ...template, content: JSON.parse('{"__proto__":{"a":1}}') });
    expect(Object.keys(event.pdu.content)).toEqual(['__proto__']);
    expect(isContentHashValid(event.pdu)).toBe(true);
  });

  it("completes another server's template and believes none of its hashes, signatures and ids", () => {
    const given = {
      ...template,
      hashes: { sha256: 'x' },
      signatures: { b: { k: 's' } },
      event_id: '$x',
      unsigned: { age: 1 },
    };
    const result = completeEvent({ ...given, 'org.example.kept': 1 }, version, signerOf('a.test', 1));
    expect(result.outcome).toBe('parsed');
    if (result.outcome !== 'parsed') return;
    expect(result.event.pdu).toMatchObject({ 'org.example.kept': 1 });
    expect(result.event.pdu).not.toHaveProperty('event_id');
    expect(result.event.pdu).not.toHaveProperty('unsigned');
    expect(Object.keys(result.event.pdu.signatures)).toEqual(['a.test']);
    expect(isContentHashValid(result.event.pdu)).toBe(true);
  });

  it('names the target of a redaction where the version has it', () => {
    const target = '$target' as EventId;
    expect(withRedacts(template, target, getRoomVersion('10'))).toMatchObject({
      redacts: target,
      content: { body: 'hello' },
    });
    expect(withRedacts(template, target, version)).toMatchObject({ content: { body: 'hello', redacts: target } });
    expect(withRedacts(template, target, version)).not.toHaveProperty('redacts');
  });
});

describe('signing an event of others', () => {
  it('adds a signature and changes neither the id nor those it has', () => {
    const event = built();
    const both = signEvent(event, signerOf('b.test', 2));
    expect(both.eventId).toBe(event.eventId);
    expect(both.pdu.signatures['a.test']).toEqual(event.pdu.signatures['a.test']);
    expect(
      verifySignedJson(signedFormOf(both.pdu, version), 'b.test' as ServerName, 'ed25519:1', keyOf(2).publicKey),
    ).toBe(true);
  });

  it('takes over signatures that another server returned, but replaces none', () => {
    const event = built();
    const merged = withSignatures(event, {
      'a.test': { 'ed25519:1': 'forged', 'ed25519:2': 'new' },
      'b.test': { k: 's' },
    });
    expect(merged.pdu.signatures).toEqual({
      'a.test': { 'ed25519:1': event.pdu.signatures['a.test']?.['ed25519:1'], 'ed25519:2': 'new' },
      'b.test': { k: 's' },
    });
  });
});

describe('the servers that must have signed', () => {
  const signers = (type: string, content: JsonObject): string[] =>
    listRequiredSigners(
      makeEvent(version, { type, sender: '@alice:a.test', stateKey: '@bob:b.test', content }),
      version,
    );

  it.each<[string, string, JsonObject, string[]]>([
    ["the sender's", 'm.room.message', {}, ['a.test']],
    ["the sender's, for an invite", 'm.room.member', { membership: 'invite' }, ['a.test']],
    ['none, for a third-party invite', 'm.room.member', { membership: 'invite', third_party_invite: {} }, []],
    [
      "the sender's, for a join with a third-party invite",
      'm.room.member',
      { membership: 'join', third_party_invite: {} },
      ['a.test'],
    ],
    [
      "the sender's and that of who vouches for a join",
      'm.room.member',
      { membership: 'join', join_authorised_via_users_server: '@carol:c.test' },
      ['a.test', 'c.test'],
    ],
    ['one, when both are the same', 'm.room.member', { join_authorised_via_users_server: '@carol:a.test' }, ['a.test']],
    [
      "only the sender's, when who vouches is no user",
      'm.room.member',
      { join_authorised_via_users_server: 5 },
      ['a.test'],
    ],
    [
      "only the sender's, for another type with that key",
      'x',
      { join_authorised_via_users_server: '@c:c.test' },
      ['a.test'],
    ],
  ])('are %s', (_name, type, content, expected) => {
    expect(signers(type, content)).toEqual(expected);
  });

  it('are asked one after the other, with the redacted event and its time', async () => {
    const event = makeEvent(version, {
      type: 'm.room.member',
      sender: '@bob:b.test',
      stateKey: '@bob:b.test',
      content: { membership: 'join', displayname: 'Bob', join_authorised_via_users_server: '@carol:c.test' },
      ts: 77,
    });
    const asked: [JsonObject, string, number][] = [];
    const verify =
      (answer: (server: string) => boolean) => async (object: JsonObject, server: ServerName, at: number) => {
        asked.push([object, server, at]);
        return answer(server);
      };
    expect(
      await findMissingSigner(
        event,
        version,
        verify(() => true),
      ),
    ).toBeUndefined();
    expect(asked.map(([, server, at]) => [server, at])).toEqual([
      ['b.test', 77],
      ['c.test', 77],
    ]);
    expect(JSON.stringify(asked)).not.toContain('displayname');
    expect(
      await findMissingSigner(
        event,
        version,
        verify((server) => server === 'b.test'),
      ),
    ).toBe('c.test');
    expect(
      await findMissingSigner(
        event,
        version,
        verify(() => false),
      ),
    ).toBe('b.test');
  });
});

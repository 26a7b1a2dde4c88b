import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeBase64 } from '../../../../src/base/base64.ts';
import { createEventIdOfRoom, eventIdOf, roomIdOfCreate } from '../../../../src/engine/event/event-id.ts';
import { encodedContentHash, isContentHashValid } from '../../../../src/engine/event/hash.ts';
import { redact, redactJson } from '../../../../src/engine/event/redact.ts';
import { withTrustedContent } from '../../../../src/engine/event/verify.ts';
import type { JsonObject, Pdu } from '../../../../src/matrix/pdu.ts';
import { getRoomVersion, supportedRoomVersions } from '../../../../src/matrix/room-versions.ts';
import type { ServerName } from '../../../../src/matrix/server-name.ts';
import { signingKeyOfSeed } from '../../../../src/signing/ed25519.ts';
import { signJson } from '../../../../src/signing/sign-json.ts';
import { makeEvent } from '../../../support/room-events.ts';
import { readVectors } from '../../../support/vectors.ts';

interface SigningVectors {
  seed: string;
  server: string;
  keyVersion: string;
  objects: { given: JsonObject; signature: string }[];
  events: { given: JsonObject; sha256: string; signature: string }[];
}

const vectors = readVectors<SigningVectors>('signing.json');
const signer = {
  server: vectors.server as ServerName,
  key: signingKeyOfSeed(decodeBase64(vectors.seed) ?? Buffer.alloc(0), vectors.keyVersion),
};
// The published events carry `origin`, which redactions kept until version 11.
const version10 = getRoomVersion('10');

describe('hashing and signing', () => {
  it.each(vectors.objects)('signs $given as published', ({ given, signature }) => {
    expect(signJson(given, signer).signatures).toEqual({ domain: { 'ed25519:1': signature } });
  });

  it.each(vectors.events)('hashes and signs an event of type $given.type as published', (vector) => {
    expect(encodedContentHash(vector.given)).toBe(vector.sha256);
    const hashed = { ...vector.given, hashes: { sha256: vector.sha256 } };
    expect(signJson(redactJson(hashed, version10), signer).signatures).toEqual({
      domain: { 'ed25519:1': vector.signature },
    });
  });

  it('takes the event id from the redacted event without signatures', () => {
    const event = makeEvent(getRoomVersion('11'), {
      type: 'm.room.message',
      sender: '@alice:a.test',
      content: { body: 'hello' },
    });
    const { pdu } = event;
    const canonical = `{"auth_events":[],"content":{},"depth":1,"hashes":{"sha256":"${pdu.hashes.sha256}"},"origin_server_ts":1000,"prev_events":[],"room_id":"!room:a.test","sender":"@alice:a.test","type":"m.room.message"}`;
    expect(event.eventId).toBe(`$${createHash('sha256').update(canonical).digest('base64url')}`);
  });

  it('makes the room id of version 12 from the create event and finds that event by it', () => {
    const create = makeEvent(getRoomVersion('12'), { type: 'm.room.create', sender: '@alice:a.test', stateKey: '' });
    expect(create.roomId).toBe(`!${create.eventId.slice(1)}`);
    expect(roomIdOfCreate(createEventIdOfRoom(create.roomId))).toBe(create.roomId);
  });
});

describe('the content hash', () => {
  const version = getRoomVersion('11');
  const event = makeEvent(version, { type: 'm.room.message', sender: '@alice:a.test', content: { body: 'hello' } });

  it('holds for the event as it was built, whatever stands in unsigned and signatures', () => {
    expect(isContentHashValid(event.pdu)).toBe(true);
    expect(isContentHashValid({ ...event.pdu, unsigned: { age: 1 }, signatures: { b: { k: 's' } } })).toBe(true);
    expect(withTrustedContent(event, version)).toBe(event);
  });

  it('leaves nothing but the redacted form of an event that was changed', () => {
    const changed = { ...event, pdu: { ...event.pdu, content: { body: 'goodbye' } } };
    expect(isContentHashValid(changed.pdu)).toBe(false);
    expect(withTrustedContent(changed, version).pdu.content).toEqual({});
    expect(withTrustedContent(changed, version).eventId).toBe(event.eventId);
  });

  it('covers a __proto__ key', () => {
    const smuggled: Pdu = { ...event.pdu, content: JSON.parse('{"body":"hello","__proto__":{"a":1}}') };
    expect(isContentHashValid(smuggled)).toBe(false);
  });

  it('is not valid when it is no base64', () => {
    expect(isContentHashValid({ ...event.pdu, hashes: { sha256: '!!' } })).toBe(false);
  });
});

describe('redacting', () => {
  const base = { type: 'm.room.message', sender: '@alice:a.test', stateKey: '' };
  const content = (id: string, type: string, before: JsonObject): JsonObject =>
    redact(makeEvent(getRoomVersion(id), { ...base, type, content: before }).pdu, getRoomVersion(id)).content;

  it.each<[string, string, JsonObject, JsonObject]>([
    ['10', 'm.room.message', { body: 'a' }, {}],
    ['10', 'm.room.create', { creator: '@a:a.test', room_version: '10' }, { creator: '@a:a.test' }],
    ['11', 'm.room.create', { room_version: '11', x: 1 }, { room_version: '11', x: 1 }],
    ['10', 'm.room.power_levels', { invite: 1, ban: 2, users: {}, notifications: {} }, { ban: 2, users: {} }],
    [
      '11',
      'm.room.power_levels',
      { invite: 1, ban: 2, users: {}, notifications: {} },
      { invite: 1, ban: 2, users: {} },
    ],
    [
      '11',
      'm.room.power_levels',
      { events: {}, events_default: 1, kick: 2, redact: 3, state_default: 4, users_default: 5, other: 6 },
      { events: {}, events_default: 1, kick: 2, redact: 3, state_default: 4, users_default: 5 },
    ],
    ['10', 'm.room.redaction', { redacts: '$a', reason: 'b' }, {}],
    ['11', 'm.room.redaction', { redacts: '$a', reason: 'b' }, { redacts: '$a' }],
    ['12', 'm.room.join_rules', { join_rule: 'restricted', allow: [1], x: 1 }, { join_rule: 'restricted', allow: [1] }],
    ['12', 'm.room.history_visibility', { history_visibility: 'joined', x: 1 }, { history_visibility: 'joined' }],
    [
      '10',
      'm.room.member',
      { membership: 'join', join_authorised_via_users_server: '@a:a.test', displayname: 'A', third_party_invite: {} },
      { membership: 'join', join_authorised_via_users_server: '@a:a.test' },
    ],
    [
      '11',
      'm.room.member',
      { membership: 'invite', third_party_invite: { signed: { token: 't' }, display_name: 'A' } },
      { membership: 'invite', third_party_invite: { signed: { token: 't' } } },
    ],
    ['11', 'm.room.member', { third_party_invite: { display_name: 'A' } }, { third_party_invite: {} }],
    ['11', 'm.room.member', { third_party_invite: 'junk' }, {}],
    ['11', 'm.room.name', { name: 'A' }, {}],
    ['11', 'constructor', { name: 'A' }, {}],
  ])('in version %s keeps of %s what it should', (id, type, before, after) => {
    expect(content(id, type, before)).toEqual(after);
  });

  it('keeps origin, membership and prev_state until version 10, and from 11 on no longer', () => {
    const event = { origin: 'a', membership: 'join', prev_state: [], type: 'x', extra: 1, unsigned: {}, content: {} };
    expect(redactJson(event, version10)).toEqual({
      origin: 'a',
      membership: 'join',
      prev_state: [],
      type: 'x',
      content: {},
    });
    expect(redactJson(event, getRoomVersion('11'))).toEqual({ type: 'x', content: {} });
  });

  it('changes neither the id of an event nor, done twice, anything', () => {
    const types = fc.constantFrom(
      'm.room.member',
      'm.room.create',
      'm.room.power_levels',
      'm.room.redaction',
      'm.room.message',
    );
    const keys = fc.constantFrom('membership', 'creator', 'users', 'redacts', 'third_party_invite', 'signed', 'x');
    const contents = fc.dictionary(keys, fc.oneof(fc.integer(), fc.dictionary(keys, fc.integer()), fc.string()));
    fc.assert(
      fc.property(fc.constantFrom(...supportedRoomVersions), types, contents, (id, type, any) => {
        const version = getRoomVersion(id);
        const event = makeEvent(version, { ...base, type, content: any });
        const redacted = redact(event.pdu, version);
        expect(eventIdOf(redacted, version)).toBe(event.eventId);
        expect(redact(redacted, version)).toEqual(redacted);
      }),
    );
  });
});

import { describe, expect, it } from 'vitest';
import { encodeBase64 } from '../../../../src/base/base64.ts';
import {
  buildEvent,
  completeEvent,
  type EventTemplate,
  signEvent,
  withRedacts,
  withSignatures,
} from '../../../../src/engine/event/build.ts';
import {
  eventIdOf,
  isEventIdOf,
  referenceHash,
  referenceTo,
  signedTextOf,
} from '../../../../src/engine/event/event-id.ts';
import { isContentHashValid } from '../../../../src/engine/event/hash.ts';
import { redact } from '../../../../src/engine/event/redact.ts';
import { signedFormOf } from '../../../../src/engine/event/verify.ts';
import type { EventId, RoomId, UserId } from '../../../../src/matrix/ids.ts';
import { authEventIdsOf, type JsonObject, prevEventIdsOf, type RoomEvent } from '../../../../src/matrix/pdu.ts';
import { getRoomVersion, supportedRoomVersions } from '../../../../src/matrix/room-versions.ts';
import type { ServerName } from '../../../../src/matrix/server-name.ts';
import { signingKeyOfSeed } from '../../../../src/signing/ed25519.ts';
import { signedBytes, signJson, verifySignedJson } from '../../../../src/signing/sign-json.ts';

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

describe.each(supportedRoomVersions)('building events of room version %s', (id) => {
  const own = getRoomVersion(id);
  const sign = signerOf('a.test', 1);
  const isGiven = own.eventIds === 'given';
  const make = (more: Partial<EventTemplate> = {}, prev: readonly RoomEvent[] = []) => {
    const refer = (event: RoomEvent) => referenceTo(event, own);
    const roomId = own.roomIdFormat === 'opaque' ? '!room:a.test' : `!${'r'.repeat(43)}`;
    const sketch = {
      ...template,
      room_id: roomId as RoomId,
      prev_events: prev.map(refer),
      auth_events: prev.map(refer),
    };
    const result = buildEvent({ ...sketch, ...more }, own, sign);
    if (result.outcome === 'malformed') throw new Error(result.reason);
    return result.event;
  };

  it('gives each an id of its own, and names others in the form of the version', () => {
    const first = make();
    const second = make({}, [first]);
    const third = make({ content: { body: 'bye' } }, [first, second]);
    expect(new Set([first, second, third].map(({ eventId }) => eventId)).size).toBe(3);
    for (const event of [first, second, third]) {
      expect(isEventIdOf(event.eventId, own)).toBe(true);
      expect(event.pdu.event_id).toBe(isGiven ? event.eventId : undefined);
      expect(isContentHashValid(event.pdu)).toBe(true);
    }
    const hashes = { sha256: encodeBase64(referenceHash(first.pdu, own)) };
    expect(second.pdu.prev_events).toEqual([isGiven ? [first.eventId, hashes] : first.eventId]);
    expect(prevEventIdsOf(third.pdu)).toEqual([first.eventId, second.eventId]);
    expect(authEventIdsOf(third.pdu)).toEqual([first.eventId, second.eventId]);
    expect(make().eventId).toBe(first.eventId);
  });

  it('names an event that was redacted as it named it before', () => {
    const event = make();
    const redacted = { ...event, pdu: redact(event.pdu, own) };
    expect(referenceTo(redacted, own)).toEqual(referenceTo(event, own));
  });

  it('signs what a redaction keeps, so that the signature outlives it', () => {
    const redacted = redact(make().pdu, own);
    expect(verifySignedJson(redacted, 'a.test' as ServerName, 'ed25519:1', keyOf(1).publicKey)).toBe(true);
  });

  it("replaces the id in another server's template by its own, where there is one", () => {
    const { room_id: roomId } = make().pdu;
    const result = completeEvent({ ...template, room_id: roomId, event_id: '$theirs:b.test' }, own, sign);
    if (result.outcome !== 'parsed') throw new Error(result.reason);
    expect(result.event.pdu.event_id).toBe(isGiven ? result.event.eventId : undefined);
    expect(result.event.eventId).not.toContain('theirs');
    if (isGiven) expect(result.event.eventId).toMatch(/^\$[A-Za-z0-9_-]{43}:a\.test$/);
  });

  it('refuses a template without a sender, and one whose lists are of another version', () => {
    const other = isGiven ? [`$${'x'.repeat(43)}`] : [['$x:a.test', {}]];
    const bad: JsonObject[] = [
      { ...template, sender: undefined },
      { ...template, sender: 7 },
    ];
    for (const key of ['prev_events', 'auth_events']) bad.push({ ...template, room_id: make().roomId, [key]: other });
    for (const json of bad) expect(completeEvent(json, own, sign).outcome).toBe('malformed');
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

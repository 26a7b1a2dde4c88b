import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { findRoomIdOfPdu, parsePdu } from '../../../../src/engine/event/parse.ts';
import type { JsonObject } from '../../../../src/matrix/pdu.ts';
import { getRoomVersion, supportedRoomVersions } from '../../../../src/matrix/room-versions.ts';
import { makeEvent } from '../../../support/room-events.ts';

const version11 = getRoomVersion('11');
const version12 = getRoomVersion('12');
const good: JsonObject = {
  type: 'm.room.message',
  sender: '@alice:a.test',
  room_id: '!room:a.test',
  content: { body: 'hello' },
  depth: 5,
  origin_server_ts: 1,
  prev_events: ['$a'],
  auth_events: ['$b'],
  hashes: { sha256: 'x' },
  signatures: { 'a.test': { 'ed25519:1': 'y' } },
};
const ids = (count: number): string[] => Array.from({ length: count }, (_, index) => `$${index}`);

describe('parsing a PDU', () => {
  it('gives the event with the object itself, unknown fields and all', () => {
    const json = JSON.parse(JSON.stringify({ ...good, 'org.example.x': [1] }).replace('{', '{"__proto__":1,'));
    const parsed = parsePdu(json, version11);
    expect(parsed).toMatchObject({ outcome: 'parsed', event: { roomId: '!room:a.test', roomVersion: '11' } });
    if (parsed.outcome === 'parsed') expect(parsed.event.pdu).toBe(json);
  });

  it.each<[string, JsonObject]>([
    ['twenty previous and ten auth events', { prev_events: ids(20), auth_events: ids(10) }],
    ['no previous events', { prev_events: [], auth_events: [] }],
    ['an empty state key', { state_key: '' }],
    ['a state key of 255 bytes', { state_key: 'é'.repeat(127) }],
    ['the greatest depth', { depth: Number.MAX_SAFE_INTEGER }],
    ['a historical user id', { sender: '@Ünïcode key:a.test' }],
    ['a user id with nothing before the colon', { sender: '@:a.test' }],
    ['unsigned data', { unsigned: { age: 4 } }],
    ['no signatures', { signatures: {} }],
    ['a time before 1970', { origin_server_ts: -1 }],
  ])('accepts %s', (_name, change) => {
    expect(parsePdu({ ...good, ...change }, version11).outcome).toBe('parsed');
  });

  it.each<[string, JsonObject]>([
    ['a type that is no string', { type: 1 }],
    ['a state key that is no string', { state_key: null }],
    ['a sender without a server', { sender: '@alice' }],
    ['a sender with a bad server name', { sender: '@alice:a_test' }],
    ['a sender of 256 bytes', { sender: `@${'a'.repeat(248)}:a.test` }],
    ['a room id that is none', { room_id: 'room:a.test' }],
    ['a content that is a list', { content: [] }],
    ['a content that is null', { content: null }],
    ['a negative depth', { depth: -1 }],
    ['a depth that is a string', { depth: '5' }],
    ['a depth of 2^53', { depth: 2 ** 53 }],
    ['a fraction anywhere', { content: { deep: [{ a: 1.5 }] } }],
    ['a lone surrogate anywhere', { content: { body: '\ud800' } }],
    ['a time that is no integer', { origin_server_ts: '1' }],
    ['previous events that are no list', { prev_events: {} }],
    ['twenty-one previous events', { prev_events: ids(21) }],
    ['eleven auth events', { auth_events: ids(11) }],
    ['an auth event that is no id', { auth_events: ['b'] }],
    ['an auth event with its hashes, as in version 2', { auth_events: [['$b', { sha256: 'x' }]] }],
    ['hashes without sha256', { hashes: {} }],
    ['hashes that are a list', { hashes: [] }],
    ['signatures that are strings', { signatures: { 'a.test': 'y' } }],
    ['a signature that is a number', { signatures: { 'a.test': { 'ed25519:1': 1 } } }],
    ['unsigned data that is a list', { unsigned: [] }],
  ])('refuses %s', (_name, change) => {
    expect(parsePdu({ ...good, ...change }, version11)).toMatchObject({ outcome: 'malformed', problem: 'format' });
  });

  it.each([
    'type',
    'sender',
    'room_id',
    'content',
    'depth',
    'origin_server_ts',
    'prev_events',
    'auth_events',
    'hashes',
    'signatures',
  ])('refuses an event without %s', (key) => {
    const { [key]: _left, ...rest } = good;
    expect(parsePdu(rest, version11).outcome).toBe('malformed');
  });

  it.each([
    ['a type of 256 bytes', { type: 'é'.repeat(128) }],
    ['a state key of 256 bytes', { state_key: 'é'.repeat(128) }],
  ])('calls %s too large', (_name, change) => {
    expect(parsePdu({ ...good, ...change }, version11)).toMatchObject({ problem: 'too_large' });
  });

  it('measures the whole event in bytes of canonical JSON: 65,536 pass, one more does not', () => {
    const overhead = Buffer.byteLength(JSON.stringify({ ...good, content: { body: '' } }));
    const body = (bytes: number): JsonObject => ({
      ...good,
      content: { body: `é${'a'.repeat(bytes - overhead - 2)}` },
    });
    expect(parsePdu(body(65_536), version11).outcome).toBe('parsed');
    expect(parsePdu(body(65_537), version11)).toMatchObject({ problem: 'too_large' });
  });

  it('refuses what the raw text showed to hold loose numbers', () => {
    expect(parsePdu(good, version11, true).outcome).toBe('malformed');
  });

  it('wants no room id on the create event of version 12, and one on all others', () => {
    const { room_id: roomId, ...rest } = good;
    const create = { ...rest, type: 'm.room.create', state_key: '' };
    const parsed = parsePdu(create, version12);
    expect(parsed.outcome).toBe('parsed');
    if (parsed.outcome === 'parsed') expect(parsed.event.roomId).toBe(`!${parsed.event.eventId.slice(1)}`);
    expect(parsePdu({ ...create, room_id: roomId }, version12).outcome).toBe('malformed');
    expect(parsePdu(rest, version12).outcome).toBe('malformed');
    expect(parsePdu(create, version11).outcome).toBe('malformed');
    expect(
      parsePdu(
        makeEvent(version12, { ...rest, type: 'x', sender: '@a:a.test', roomId: `!${'a'.repeat(43)}` }).pdu,
        version12,
      ).outcome,
    ).toBe('parsed');
  });

  it('finds the room id of what may not be an event at all', () => {
    expect(findRoomIdOfPdu(good)).toBe('!room:a.test');
    for (const junk of [null, 1, [], {}, { room_id: 'x' }]) expect(findRoomIdOfPdu(junk)).toBeUndefined();
  });

  it('never throws, whatever the JSON', () => {
    const field = fc.constantFrom(...Object.keys(good), 'state_key', 'unsigned', '__proto__');
    const broken = fc
      .array(fc.tuple(field, fc.jsonValue()), { maxLength: 3 })
      .map((changes) => Object.fromEntries([...Object.entries(good), ...changes]));
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), broken), fc.constantFrom(...supportedRoomVersions), (json, id) => {
        expect(['parsed', 'malformed']).toContain(parsePdu(json, getRoomVersion(id)).outcome);
      }),
    );
  });
});

describe('the length of a type and a state key', () => {
  const outcomeOf = (stateKey: string, version: string) =>
    parsePdu({ ...good, state_key: stateKey }, getRoomVersion(version)).outcome;

  it('counts in code points where servers always did, and in bytes from version 11 on', () => {
    const long = '💥'.repeat(70);
    expect(['10', '11', '12'].map((version) => outcomeOf(long, version))).toEqual(['parsed', 'malformed', 'malformed']);
  });

  it.each([
    ['a', 255],
    ['💥', 255],
  ])('of %s in version 10 ends at %i', (character, most) => {
    expect(outcomeOf(character.repeat(most), '10')).toBe('parsed');
    expect(outcomeOf(character.repeat(most + 1), '10')).toBe('malformed');
  });
});

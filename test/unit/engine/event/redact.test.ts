import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeBase64 } from '../../../../src/base/base64.ts';
import { eventIdOf, isSameEvent, referenceHash } from '../../../../src/engine/event/event-id.ts';
import { isContentHashValid } from '../../../../src/engine/event/hash.ts';
import { parsePdu } from '../../../../src/engine/event/parse.ts';
import { redact, redactJson } from '../../../../src/engine/event/redact.ts';
import { listRequiredSigners, signedFormOf, withTrustedContent } from '../../../../src/engine/event/verify.ts';
import type { JsonObject } from '../../../../src/matrix/pdu.ts';
import { getRoomVersion, supportedRoomVersions } from '../../../../src/matrix/room-versions.ts';
import { propertyRuns } from '../../../support/property-runs.ts';
import { makeEvent } from '../../../support/room-events.ts';

/** A content with everything that any version keeps of any type. */
const full: JsonObject = {
  membership: 'join',
  join_authorised_via_users_server: '@carol:c.test',
  third_party_invite: { signed: { token: 't' }, display_name: 'A' },
  creator: '@alice:a.test',
  room_version: '1',
  join_rule: 'restricted',
  allow: [1],
  ban: 1,
  events: {},
  events_default: 2,
  invite: 3,
  kick: 4,
  redact: 5,
  state_default: 6,
  users: {},
  users_default: 7,
  notifications: {},
  aliases: [],
  history_visibility: 'joined',
  redacts: '$a',
  reason: 'b',
};
const powerLevels = ['ban', 'events', 'events_default', 'kick', 'redact', 'state_default', 'users', 'users_default'];

/** What each type keeps, by the version from which on it does. */
const kept: [type: string, since: Record<number, readonly string[]>][] = [
  ['m.room.member', { 1: ['membership'], 9: ['join_authorised_via_users_server'], 11: ['third_party_invite'] }],
  ['m.room.create', { 1: ['creator'], 11: Object.keys(full) }],
  ['m.room.join_rules', { 1: ['join_rule'], 8: ['allow'] }],
  ['m.room.power_levels', { 1: powerLevels, 11: ['invite'] }],
  ['m.room.history_visibility', { 1: ['history_visibility'] }],
  ['m.room.redaction', { 11: ['redacts'] }],
  ['m.room.message', {}],
  ['m.room.name', {}],
  ['constructor', {}],
  ['__proto__', {}],
];

describe.each(supportedRoomVersions)('redacting in room version %s', (id) => {
  const version = getRoomVersion(id);
  const contentOf = (type: string, content: JsonObject): unknown => redactJson({ type, content }, version).content;

  it.each(kept)('keeps of %s what it should, and nothing else', (type, since) => {
    const keys = Object.entries(since).flatMap(([from, added]) => (Number(id) >= Number(from) ? added : []));
    const content = contentOf(type, full) as JsonObject;
    expect(Object.keys(content).sort()).toEqual([...new Set(keys)].sort());
    for (const key of Object.keys(content)) if (key !== 'third_party_invite') expect(content[key]).toBe(full[key]);
  });

  it('keeps aliases until version 5', () => {
    expect(contentOf('m.room.aliases', full)).toEqual(Number(id) <= 5 ? { aliases: [] } : {});
  });

  it('keeps of the event what it should: origin, membership and prev_state until version 10', () => {
    const before = { origin: 'a', membership: 'join', prev_state: [] };
    const always = {
      event_id: '$a:a.test',
      type: 'x',
      room_id: '!r:a.test',
      sender: '@a:a.test',
      state_key: '',
      hashes: { sha256: '' },
      signatures: {},
      depth: 1,
      prev_events: [],
      auth_events: [],
      origin_server_ts: 1,
      content: {},
    };
    const gone = { redacts: '$b', unsigned: {}, age_ts: 1, replaces_state: '$c', prev_content: {}, extra: 1 };
    const expected = Number(id) <= 10 ? { ...always, ...before } : always;
    expect(redactJson({ ...always, ...before, ...gone, content: { body: 'x' } }, version)).toEqual(expected);
  });

  it.each<[unknown, JsonObject]>([
    [{ signed: { token: 't' }, display_name: 'A' }, { third_party_invite: { signed: { token: 't' } } }],
    [{ display_name: 'A' }, { third_party_invite: {} }],
    ['junk', {}],
    [null, {}],
    [[], {}],
  ])('keeps of the third-party invite %j what is signed, from version 11 on', (invite, expected) => {
    expect(contentOf('m.room.member', { third_party_invite: invite })).toEqual(Number(id) >= 11 ? expected : {});
    expect(contentOf('m.room.name', { third_party_invite: invite })).toEqual({});
  });

  it('takes only what the content has itself', () => {
    const content = JSON.parse('{"__proto__":{"membership":"join","third_party_invite":{"signed":{}}}}');
    expect(contentOf('m.room.member', content)).toEqual({});
    expect(Object.keys(contentOf('m.room.create', content) as object)).toEqual(Number(id) >= 11 ? ['__proto__'] : []);
  });

  it.each([[[]], [null], ['text'], [7]])('does not fall over the content %j', (content) => {
    expect(() => redactJson({ type: 'm.room.member', content }, version)).not.toThrow();
  });
});

const types = fc.constantFrom(...kept.map(([type]) => type), 'm.room.aliases');
const keys = fc.oneof(fc.constantFrom(...Object.keys(full), 'signed'), fc.string({ maxLength: 3 }));
const contents = fc.dictionary(keys, fc.oneof(fc.integer(), fc.string(), fc.dictionary(keys, fc.integer())));
const versions = fc.constantFrom(...supportedRoomVersions.map(getRoomVersion));
const events = fc
  .tuple(versions, types, contents)
  .map(([version, type, content]) => makeEvent(version, { type, sender: '@alice:a.test', stateKey: '', content }));
const runs = { numRuns: propertyRuns(200) };

describe('an event', () => {
  it('keeps its id, its hash and its required signers when it is redacted, which done twice changes nothing', () => {
    fc.assert(
      fc.property(events, (event) => {
        const version = getRoomVersion(event.roomVersion);
        const redacted = { ...event, pdu: redact(event.pdu, version) };
        expect(eventIdOf(redacted.pdu, version)).toBe(event.eventId);
        expect(encodeBase64(referenceHash(redacted.pdu, version))).toBe(
          encodeBase64(referenceHash(event.pdu, version)),
        );
        expect(signedFormOf(redacted.pdu, version)).toEqual(signedFormOf(event.pdu, version));
        expect(isSameEvent(event, redacted, version)).toBe(true);
        expect(redact(redacted.pdu, version)).toEqual(redacted.pdu);
        expect(parsePdu(redacted.pdu, version)).toMatchObject({ outcome: 'parsed', event: { eventId: event.eventId } });
      }),
      runs,
    );
  });

  it('is the same whatever is written into unsigned', () => {
    fc.assert(
      fc.property(events, fc.dictionary(fc.string(), fc.oneof(fc.integer(), fc.string())), (event, unsigned) => {
        const version = getRoomVersion(event.roomVersion);
        const parsed = parsePdu({ ...event.pdu, unsigned }, version);
        if (parsed.outcome !== 'parsed') throw new Error(parsed.reason);
        expect(parsed.event.eventId).toBe(event.eventId);
        expect(parsed.event.roomId).toBe(event.roomId);
        expect(isContentHashValid(parsed.event.pdu)).toBe(true);
        expect(withTrustedContent(parsed.event, version)).toBe(parsed.event);
        expect(listRequiredSigners(parsed.event, version)).toEqual(listRequiredSigners(event, version));
        expect(isSameEvent(event, parsed.event, version)).toBe(true);
      }),
      runs,
    );
  });

  it('is another one when anything else is written into it that a redaction keeps', () => {
    fc.assert(
      fc.property(events, fc.constantFrom('depth', 'origin_server_ts'), (event, key) => {
        const version = getRoomVersion(event.roomVersion);
        const other = parsePdu({ ...event.pdu, [key]: 77 }, version);
        if (other.outcome !== 'parsed') throw new Error(other.reason);
        expect(isSameEvent(event, other.event, version)).toBe(false);
        expect(other.event.eventId === event.eventId).toBe(version.eventIds === 'given');
        expect(isContentHashValid(other.event.pdu)).toBe(false);
      }),
      runs,
    );
  });
});

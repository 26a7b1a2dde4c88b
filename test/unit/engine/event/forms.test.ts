import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalJson } from '../../../../src/base/json/canonical-json.ts';
import { signedTextOf } from '../../../../src/engine/event/event-id.ts';
import { findForms } from '../../../../src/engine/event/forms.ts';
import { encodedContentHash, isContentHashValid } from '../../../../src/engine/event/hash.ts';
import { parsePdu, parseReceivedPdu } from '../../../../src/engine/event/parse.ts';
import { redact } from '../../../../src/engine/event/redact.ts';
import { withTrustedContent } from '../../../../src/engine/event/verify.ts';
import type { JsonObject, Pdu, RoomEvent } from '../../../../src/matrix/pdu.ts';
import { getRoomVersion, supportedRoomVersions } from '../../../../src/matrix/room-versions.ts';
import type { ServerName } from '../../../../src/matrix/server-name.ts';
import { propertyRuns } from '../../../support/property-runs.ts';
import { makeEvent } from '../../../support/room-events.ts';

const version = getRoomVersion('11');

/** A fresh copy of an event as it would come from elsewhere. */
function arriving(change: JsonObject = {}, id = '11'): JsonObject {
  const { pdu } = makeEvent(getRoomVersion(id), {
    type: 'm.room.message',
    sender: '@alice:a.test',
    content: { body: 'hello', 'm.mentions': { user_ids: ['@bob:b.test'] } },
  });
  return structuredClone({ ...pdu, ...change }) as JsonObject;
}

function received(json: JsonObject, keepsText = true, id = '11'): RoomEvent {
  const parsed = parseReceivedPdu(json, getRoomVersion(id), { keepsText });
  if (parsed.outcome !== 'parsed') throw new Error(parsed.reason);
  return parsed.event;
}

describe('what is kept of a received event', () => {
  it.each(supportedRoomVersions)('is the same as is made of it again, in room version %s', (id) => {
    const json = arriving({ unsigned: { age: 5 }, x: ['\u{1F600}', { 10: 1, 9: null }] }, id);
    const event = received(json, true, id);
    const copy = structuredClone(json);
    expect(event.pdu).toBe(json);
    expect(parsePdu(copy, getRoomVersion(id))).toEqual({ outcome: 'parsed', event });
    expect(findForms(event.pdu)?.whole).toBe(canonicalJson(copy));
    expect(isContentHashValid(event.pdu)).toBe(isContentHashValid(copy as Pdu));
    expect(signedTextOf(event.pdu, getRoomVersion(id))).toBe(signedTextOf(copy, getRoomVersion(id)));
  });

  it('says of a hash that another content was hashed', () => {
    const good = arriving();
    good.hashes = { sha256: encodedContentHash(good) };
    const altered = { ...structuredClone(good), content: { body: 'something else' } };
    expect(isContentHashValid(received(good).pdu)).toBe(true);
    const event = received(altered);
    expect(isContentHashValid(event.pdu)).toBe(false);
    const trusted = withTrustedContent(event, version);
    expect(trusted.pdu).toEqual(redact(event.pdu, version));
    // The redacted form has forms of its own.
    expect(findForms(trusted.pdu)).toBeUndefined();
  });

  it('holds whatever member is added, altered or taken away', () => {
    const good = arriving();
    good.hashes = { sha256: encodedContentHash(good) };
    const covered = fc.constantFrom('type', 'content', 'depth', 'origin_server_ts', 'further');
    const change = { type: 'm.other', content: {}, depth: 77, origin_server_ts: 78, further: true };
    const uncovered = fc.constantFrom('unsigned', 'signatures');
    fc.assert(
      fc.property(fc.oneof(covered, uncovered), (key) => {
        const copy = structuredClone(good);
        copy[key] = key in change ? change[key as keyof typeof change] : {};
        expect(isContentHashValid(received(copy).pdu)).toBe(!(key in change));
      }),
      { numRuns: propertyRuns(50) },
    );
  });

  it('cannot become untrue: nobody changes the event any more, nor anything in it', () => {
    const json = arriving({ content: { body: 'hello', list: [1] }, signatures: { 'a.test': { 'ed25519:1': 'x' } } });
    const { pdu } = received(json);
    const lists = [pdu.content.list, pdu.prev_events, pdu.auth_events];
    const objects = [pdu, pdu.content, pdu.hashes, pdu.signatures, pdu.signatures['a.test' as ServerName]];
    for (const list of lists) expect(() => Reflect.apply(Array.prototype.push, list, ['$x'])).toThrow(TypeError);
    for (const object of objects) {
      expect(Object.keys(object ?? {})).not.toEqual([]);
      for (const key of [...Object.keys(object ?? {}), 'new']) {
        expect(() => Object.assign(object ?? {}, { [key]: 'x' })).toThrow(TypeError);
        expect(Reflect.deleteProperty(object ?? {}, key)).toBe(key === 'new');
      }
    }
  });

  it('is no text where none was asked for', () => {
    const { pdu } = received(arriving(), false);
    expect(findForms(pdu)?.whole).toBeUndefined();
    expect(findForms(pdu)).toBeDefined();
  });

  it('is nothing of an event that somebody else may hold', () => {
    const json = arriving();
    expect(parsePdu(json, version).outcome).toBe('parsed');
    expect(findForms(json)).toBeUndefined();
    expect(Object.isFrozen(json)).toBe(false);
  });
});

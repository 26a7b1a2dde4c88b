import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalJson } from '../../../../src/base/json/canonical-json.ts';
import { parseExactJson } from '../../../../src/base/json/exact-json.ts';
import { findRoomIdOfPdu, parsePdu } from '../../../../src/engine/event/parse.ts';
import {
  authEventIdsOf,
  depthOf,
  type JsonObject,
  originServerTsOf,
  prevEventIdsOf,
} from '../../../../src/matrix/pdu.ts';
import { getRoomVersion, supportedRoomVersions } from '../../../../src/matrix/room-versions.ts';

const given = ['1', '2'];
const loose = ['1', '2', '3', '4', '5'];
const hash = 'b'.repeat(43);

/** The id of some event of a room version. */
const idOf = (id: string, index = 0): string => {
  const text = `event${index}`;
  return given.includes(id) ? `$${text}:a.test` : `$${text.padEnd(43, 'b')}`;
};
const referenceTo = (id: string, index = 0): unknown =>
  given.includes(id) ? [idOf(id, index), { sha256: hash }] : idOf(id, index);
const references = (id: string, count: number) => Array.from({ length: count }, (_, index) => referenceTo(id, index));
const roomIdOf = (id: string): string => (id === '12' ? `!${hash}` : '!room:a.test');

/** A message as it is in a room version. */
function good(id: string, change: JsonObject = {}): JsonObject {
  return {
    type: 'm.room.message',
    sender: '@alice:a.test',
    room_id: roomIdOf(id),
    content: { body: 'hello' },
    depth: 5,
    origin_server_ts: 1,
    prev_events: references(id, 1),
    auth_events: references(id, 2),
    hashes: { sha256: 'x' },
    signatures: { 'a.test': { 'ed25519:1': 'y' } },
    ...(given.includes(id) ? { event_id: idOf(id) } : {}),
    ...change,
  };
}

const parse = (json: unknown, id: string) => parsePdu(json, getRoomVersion(id));
const outcome = (json: unknown, id: string) => parse(json, id).outcome;
const versionsThatTake = (change: (id: string) => JsonObject): string[] =>
  supportedRoomVersions.filter((id) => outcome(good(id, change(id)), id) === 'parsed');
const all = [...supportedRoomVersions];

/** The event with a field as it stands in a text. */
function exactly(id: string, key: string, token: string): unknown {
  const parsed = parseExactJson(JSON.stringify(good(id, { [key]: '@' })).replace('"@"', token));
  return parsed.outcome === 'parsed' ? parsed.value : undefined;
}

describe.each(supportedRoomVersions)('parsing a PDU of room version %s', (id) => {
  it('gives the event with the object itself, unknown fields and all', () => {
    const json = JSON.parse(JSON.stringify({ ...good(id), 'org.example.x': [1] }).replace('{', '{"__proto__":1,'));
    const parsed = parse(json, id);
    expect(parsed).toMatchObject({ outcome: 'parsed', event: { roomId: roomIdOf(id), roomVersion: id } });
    if (parsed.outcome !== 'parsed') return;
    expect(parsed.event.pdu).toBe(json);
    expect(prevEventIdsOf(parsed.event.pdu)).toEqual([idOf(id)]);
    expect(authEventIdsOf(parsed.event.pdu)).toEqual([idOf(id), idOf(id, 1)]);
  });

  it.each<[string, JsonObject]>([
    ['twenty previous and ten auth events', { prev_events: references(id, 20), auth_events: references(id, 10) }],
    ['no previous events', { prev_events: [], auth_events: [] }],
    ['an empty state key', { state_key: '' }],
    ['a state key of 255 bytes', { state_key: 'é'.repeat(127) }],
    ['a depth of 0', { depth: 0 }],
    ['the greatest depth of canonical JSON', { depth: Number.MAX_SAFE_INTEGER }],
    ['a historical user id', { sender: '@Ünïcode key:a.test' }],
    ['a user id with nothing before the colon', { sender: '@:a.test' }],
    ['unsigned data', { unsigned: { age: 4 } }],
    ['no signatures', { signatures: {} }],
    ['a time before 1970', { origin_server_ts: -1 }],
    ['__proto__ anywhere', JSON.parse('{"content":{"__proto__":{"__proto__":[]}},"__proto__":{}}')],
  ])('accepts %s', (_name, change) => {
    expect(outcome(good(id, change), id)).toBe('parsed');
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
    ['a lone surrogate anywhere', { content: { body: '\ud800' } }],
    ['a time that is no integer', { origin_server_ts: '1' }],
    ['previous events that are no list', { prev_events: {} }],
    ['twenty-one previous events', { prev_events: references(id, 21) }],
    ['eleven auth events', { auth_events: references(id, 11) }],
    ['an auth event that is no id', { auth_events: ['b'] }],
    ['a previous event that is null', { prev_events: [null] }],
    ['hashes without sha256', { hashes: {} }],
    ['hashes that are a list', { hashes: [] }],
    ['signatures that are strings', { signatures: { 'a.test': 'y' } }],
    ['a signature that is a number', { signatures: { 'a.test': { 'ed25519:1': 1 } } }],
    ['unsigned data that is a list', { unsigned: [] }],
    ['hashes that it only inherits', JSON.parse('{"hashes":null,"__proto__":{"hashes":{"sha256":"x"}}}')],
  ])('refuses %s', (_name, change) => {
    expect(parse(good(id, change), id)).toMatchObject({ outcome: 'malformed', problem: 'format' });
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
    ...(given.includes(id) ? ['event_id'] : []),
  ])('refuses an event without %s', (key) => {
    const { [key]: _left, ...rest } = good(id);
    expect(outcome(rest, id)).toBe('malformed');
  });

  it('measures the whole event in bytes of canonical JSON: 65,536 pass, one more does not', () => {
    const overhead = Buffer.byteLength(JSON.stringify(good(id, { content: { body: '' } })));
    const body = (bytes: number) => good(id, { content: { body: `é${'a'.repeat(bytes - overhead - 2)}` } });
    expect(outcome(body(65_536), id)).toBe('parsed');
    expect(parse(body(65_537), id)).toMatchObject({ problem: 'too_large' });
  });

  it('takes just its own form of the ids of others', () => {
    const forms = {
      given: [['$x:a.test', { sha256: hash }]],
      standard: [`$${'+/'.repeat(21)}A`],
      url_safe: [`$${'-_'.repeat(21)}A`],
      either: [`$${hash}`],
      given_alone: ['$x:a.test'],
      hash_as_pair: [[`$${hash}`, { sha256: hash }]],
      short: [`$${'b'.repeat(42)}`],
      long: [`$${'b'.repeat(44)}`],
      padded: [`$${'b'.repeat(43)}=`],
      mixed: [`$${hash}`, ['$x:a.test', { sha256: hash }]],
    };
    const taken = Object.entries(forms).filter(
      ([, prev_events]) => outcome(good(id, { prev_events }), id) === 'parsed',
    );
    const own = given.includes(id) ? ['given'] : [id === '3' ? 'standard' : 'url_safe', 'either'];
    expect(taken.map(([name]) => name)).toEqual(own);
    const cited = Object.entries(forms).filter(
      ([, auth_events]) => outcome(good(id, { auth_events }), id) === 'parsed',
    );
    expect(cited.map(([name]) => name)).toEqual(own);
  });
});

describe('the id of an event', () => {
  it.each([
    ['$x:a.test', true],
    ['$a/b+c d:a.test:8448', true],
    [`$${'x'.repeat(247)}:a.test`, true],
    [`$${'x'.repeat(248)}:a.test`, false],
    ['$x', false],
    ['$x:a_test', false],
    ['x:a.test', false],
    ['', false],
    [7, false],
    [null, false],
  ])('%j is one that a server may give: %s', (eventId, isOne) => {
    for (const id of given) expect(outcome(good(id, { event_id: eventId }), id) === 'parsed').toBe(isOne);
  });

  it('is what it says in versions 1 and 2, and nothing of the kind later', () => {
    for (const id of all) {
      const parsed = parse(good(id, { event_id: '$said:a.test' }), id);
      if (parsed.outcome !== 'parsed') throw new Error(parsed.reason);
      expect(parsed.event.eventId === '$said:a.test').toBe(given.includes(id));
    }
  });

  it.each([
    ['nothing beside the id', [['$x:a.test']]],
    ['more beside the id', [['$x:a.test', {}, {}]]],
    ['an id that is none', [['x', {}]]],
    ['the pair turned round', [[{}, '$x:a.test']]],
    ['the id alone', ['$x:a.test']],
  ])('is not read where versions 1 and 2 have %s', (_what, prev_events) => {
    for (const id of given) expect(outcome(good(id, { prev_events }), id)).toBe('malformed');
  });

  it.each([[{}], [{ sha256: 5 }], [null], ['hash']])(
    'is read where its hashes are %j, for nobody reads those',
    (hashes) => {
      for (const id of given) {
        const parsed = parse(good(id, { auth_events: [['$x:a.test', hashes]] }), id);
        if (parsed.outcome !== 'parsed') throw new Error(parsed.reason);
        expect(authEventIdsOf(parsed.event.pdu)).toEqual(['$x:a.test']);
      }
    },
  );
});

describe('numbers', () => {
  it.each(['1.0', '1e2', '-0', '9007199254740992', '-9007199254740992', '2.5', '1E400'])(
    '%s in the content pass before version 6, if a double can hold them, and never after',
    (token) => {
      const taken = all.filter((id) => outcome(exactly(id, 'content', `{"a":[{"b":${token}}]}`), id) === 'parsed');
      expect(taken).toEqual(token === '1E400' ? [] : loose);
    },
  );

  it('stay as they were written', () => {
    const parsed = parse(exactly('5', 'content', '{"a":1.50,"b":9223372036854775807,"c":1e2}'), '5');
    if (parsed.outcome !== 'parsed') throw new Error(parsed.reason);
    expect(canonicalJson(parsed.event.pdu.content)).toBe('{"a":1.5,"b":9223372036854775807,"c":100.0}');
  });

  // "Must be less than the maximum value for an integer (2^63 - 1)", and from version 6 on 2^53 - 1.
  it.each<[string, readonly string[], number?]>([
    ['0', all, 0],
    ['9007199254740991', all, Number.MAX_SAFE_INTEGER],
    ['9007199254740992', loose, Number.MAX_SAFE_INTEGER],
    ['9223372036854775807', loose, Number.MAX_SAFE_INTEGER],
    ['-0', loose, 0],
    ['9223372036854775808', []],
    ['-1', []],
    ['-9223372036854775808', []],
    ['5.0', []],
    ['5e0', []],
    ['true', []],
    ['{}', []],
  ])('%s as a depth is taken by %j', (token, versions, depth) => {
    const taken = all.filter((id) => outcome(exactly(id, 'depth', token), id) === 'parsed');
    expect(taken).toEqual(versions);
    for (const id of versions) {
      const parsed = parse(exactly(id, 'depth', token), id);
      if (parsed.outcome === 'parsed') expect(depthOf(parsed.event.pdu)).toBe(depth);
    }
  });

  it.each<[string, readonly string[], number?]>([
    ['-1', all, -1],
    ['-9223372036854775808', loose, Number.MIN_SAFE_INTEGER],
    ['9223372036854775807', loose, Number.MAX_SAFE_INTEGER],
    ['9223372036854775808', []],
    ['1.5', []],
  ])('%s as a time is taken by %j', (token, versions, time) => {
    const taken = all.filter((id) => outcome(exactly(id, 'origin_server_ts', token), id) === 'parsed');
    expect(taken).toEqual(versions);
    for (const id of versions) {
      const parsed = parse(exactly(id, 'origin_server_ts', token), id);
      if (parsed.outcome === 'parsed') expect(originServerTsOf(parsed.event.pdu)).toBe(time);
    }
  });

  it.each(['content', 'hashes', 'signatures', 'unsigned', 'prev_events', 'type', 'sender', 'room_id', 'state_key'])(
    'are no %s',
    (key) => {
      for (const id of all) expect(outcome(exactly(id, key, '1.0'), id)).toBe('malformed');
    },
  );

  it('make an event too large as they are written, too', () => {
    const parsed = parse(exactly('1', 'content', `{"a":${'9'.repeat(65_536)}}`), '1');
    expect(parsed).toMatchObject({ outcome: 'malformed', problem: 'too_large' });
  });
});

describe('the room id', () => {
  it('of the create event of version 12 is not there, and is there on all others', () => {
    const { room_id: roomId, ...rest } = good('12');
    const create = { ...rest, type: 'm.room.create', state_key: '' };
    const parsed = parse(create, '12');
    expect(parsed.outcome).toBe('parsed');
    if (parsed.outcome === 'parsed') expect(parsed.event.roomId).toBe(`!${parsed.event.eventId.slice(1)}`);
    expect(outcome({ ...create, room_id: roomId }, '12')).toBe('malformed');
    expect(outcome({ ...create, state_key: 'other' }, '12')).toBe('malformed');
    expect(versionsThatTake(() => ({ type: 'm.room.create', state_key: '', room_id: undefined }))).toEqual([]);
  });

  it('of version 12 names the create event, not a server', () => {
    expect(versionsThatTake(() => ({ room_id: '!room:a.test' }))).toEqual(all.filter((id) => id !== '12'));
    expect(outcome(good('12', { room_id: '!room' }), '12')).toBe('malformed');
  });

  it('is found in what may not be an event at all', () => {
    expect(findRoomIdOfPdu(good('11'))).toBe('!room:a.test');
    for (const junk of [null, 1, [], {}, { room_id: 'x' }]) expect(findRoomIdOfPdu(junk)).toBeUndefined();
  });
});

describe('the length of a type and a state key', () => {
  it.each([
    ['a', 255, 255],
    ['é', 255, 127],
    ['💥', 255, 63],
  ])(
    'of %s is at most %i where servers counted code points, and %i in bytes from version 11 on',
    (character, points, bytes) => {
      const taking = (count: number) => versionsThatTake(() => ({ state_key: character.repeat(count) }));
      const takingType = (count: number) => versionsThatTake(() => ({ type: character.repeat(count) }));
      for (const take of [taking, takingType]) {
        expect(take(bytes)).toEqual(all);
        expect(take(bytes + 1)).toEqual(bytes === points ? [] : all.filter((id) => Number(id) < 11));
        expect(take(points + 1)).toEqual([]);
      }
      expect(parse(good('11', { type: character.repeat(256) }), '11')).toMatchObject({ problem: 'too_large' });
    },
  );
});

describe('parsing', () => {
  it('never throws, whatever the JSON', () => {
    const versions = fc.constantFrom(...supportedRoomVersions);
    const field = fc.constantFrom(...Object.keys(good('1')), 'state_key', 'unsigned', '__proto__');
    const changes = fc.array(fc.tuple(field, fc.jsonValue()), { maxLength: 3 });
    const token = fc.constantFrom('1.0', '1e400', '-0', '9223372036854775808', '[[1.5]]', '{"a":1e2}');
    fc.assert(
      fc.property(versions, changes, fc.jsonValue(), fc.tuple(field, token), (id, changed, junk, [key, text]) => {
        const broken = Object.fromEntries([...Object.entries(good(id)), ...changed]);
        for (const json of [junk, broken, exactly(id, key, text)]) {
          expect(['parsed', 'malformed']).toContain(outcome(json, id));
        }
      }),
    );
  });
});

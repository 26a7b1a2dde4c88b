import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestServer } from '../support/server.ts';
import type { TestUser } from '../support/user.ts';
import { encode, type Json, newUser, notFound, refusal } from './rooms-support.ts';

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(() => server.stop());

const backup = { algorithm: 'm.megolm_backup.v1.curve25519-aes-sha2', auth_data: { public_key: 'abc' } };
const key = (more: Json = {}): Json => ({
  first_message_index: 10,
  forwarded_count: 5,
  is_verified: false,
  session_data: { ephemeral: 'e', 'mac é': 'm' },
  ...more,
});
const room = '!room:a.test';
const attic = '!attic:a.test';

async function create(user: TestUser): Promise<string> {
  return (await user.ok('POST', '/room_keys/version', backup)).version;
}

/** Of all keys, of a room or of one; as the paths have it. */
function keys(version: string, ...below: string[]): string {
  return `${['/room_keys/keys', ...below.map(encode)].join('/')}?version=${version}`;
}

describe('a version of a key backup', () => {
  it('is made, read, given other data, and removed; its number is not given again', async () => {
    const alice = await newUser(server, 'alice');
    expect(refusal(await alice.call('GET', '/room_keys/version'))).toEqual(notFound);
    expect([await create(alice), await create(alice)]).toEqual(['1', '2']);
    const newest = { ...backup, version: '2', count: 0, etag: '0' };
    expect(await alice.ok('GET', '/room_keys/version')).toEqual(newest);
    expect(await alice.ok('GET', '/room_keys/version/1')).toEqual({ ...newest, version: '1' });
    const change = { ...backup, auth_data: { signatures: { a: { b: 'c' } } }, version: '2' };
    expect(await alice.ok('PUT', '/room_keys/version/2', change)).toEqual({});
    expect((await alice.ok('GET', '/room_keys/version/2')).auth_data).toEqual(change.auth_data);
    await alice.ok('DELETE', '/room_keys/version/2');
    expect((await alice.ok('GET', '/room_keys/version')).version).toBe('1');
    expect(await create(alice)).toBe('3');
  });

  it('keeps its algorithm and its number', async () => {
    const alice = await newUser(server, 'alice');
    await create(alice);
    for (const change of [
      { ...backup, algorithm: 'm.other' },
      { ...backup, version: '2' },
    ]) {
      expect(refusal(await alice.call('PUT', '/room_keys/version/1', change))).toEqual([400, 'M_INVALID_PARAM']);
    }
  });

  it('is not there for others, nor under another name', async () => {
    const [alice, bob] = [await newUser(server, 'alice'), await newUser(server, 'bob')];
    await create(alice);
    await alice.ok('PUT', keys('1', room, 's'), key());
    for (const [user, version] of [
      [bob, '1'],
      [alice, '2'],
      [alice, '01'],
      [alice, '1.0'],
      [alice, 'x'],
      [alice, '99999999999999999999'],
    ] as const) {
      for (const [method, path, body] of [
        ['GET', `/room_keys/version/${version}`, undefined],
        ['PUT', `/room_keys/version/${version}`, backup],
        ['DELETE', `/room_keys/version/${version}`, undefined],
        ['GET', keys(version), undefined],
        ['PUT', keys(version), { rooms: {} }],
        ['DELETE', keys(version, room), undefined],
        ['GET', keys(version, room, 's'), undefined],
      ] as const) {
        expect(refusal(await user.call(method, path, body)), `${method} ${path}`).toEqual(notFound);
      }
    }
    expect((await alice.ok('GET', '/room_keys/version/1')).count).toBe(1);
  });
});

describe('keys in a backup', () => {
  it('are put and read one by one, by room and all at once', async () => {
    const alice = await newUser(server, 'alice');
    const version = await create(alice);
    expect(await alice.ok('PUT', keys(version, room, 's/1'), key())).toEqual({ count: 1, etag: '1' });
    const second = key({ first_message_index: 0, is_verified: true });
    await alice.ok('PUT', keys(version, room), { sessions: { s2: second } });
    const result = await alice.ok('PUT', keys(version), { rooms: { [attic]: { sessions: { s3: key() } } } });
    expect(result).toEqual({ count: 3, etag: '3' });
    expect(await alice.ok('GET', keys(version, room, 's/1'))).toEqual(key());
    const sessions = { 's/1': key(), s2: second };
    expect(await alice.ok('GET', keys(version, room))).toEqual({ sessions });
    const rooms = { [room]: { sessions }, [attic]: { sessions: { s3: key() } } };
    expect(await alice.ok('GET', keys(version))).toEqual({ rooms });
    expect(await alice.ok('GET', '/room_keys/version')).toMatchObject({ count: 3, etag: '3' });
  });

  it('that are not there are not found; a room without any and a backup without any are empty', async () => {
    const alice = await newUser(server, 'alice');
    const version = await create(alice);
    expect(refusal(await alice.call('GET', keys(version, room, 's')))).toEqual(notFound);
    expect(await alice.ok('GET', keys(version, room))).toEqual({ sessions: {} });
    expect(await alice.ok('GET', keys(version))).toEqual({ rooms: {} });
  });

  const before = key();
  it.each([
    ['verified', { is_verified: true, first_message_index: 99, forwarded_count: 99 }, {}, true],
    ['of an earlier message', { first_message_index: 9, forwarded_count: 99 }, {}, true],
    ['forwarded less often', { forwarded_count: 4 }, {}, true],
    ['the same', {}, {}, false],
    ['of a later message', { first_message_index: 11, forwarded_count: 0 }, {}, false],
    ['forwarded more often', { forwarded_count: 6 }, {}, false],
    ['not verified where the other is', { first_message_index: 0, forwarded_count: 0 }, { is_verified: true }, false],
  ])('are replaced, or not, by one that is %s', async (_, more, known, replaces) => {
    const alice = await newUser(server, 'alice');
    const version = await create(alice);
    await alice.ok('PUT', keys(version, room, 's'), { ...before, ...known });
    const next = key({ ...more, session_data: { new: true } });
    const answer = await alice.ok('PUT', keys(version), { rooms: { [room]: { sessions: { s: next } } } });
    expect(answer).toEqual({ count: 1, etag: replaces ? '2' : '1' });
    expect(await alice.ok('GET', keys(version, room, 's'))).toEqual(replaces ? next : { ...before, ...known });
  });

  it('go one by one, by room and all at once, and the count goes with them', async () => {
    const alice = await newUser(server, 'alice');
    const version = await create(alice);
    const three = { a: key(), b: key(), c: key() };
    await alice.ok('PUT', keys(version), { rooms: { [room]: { sessions: three }, [attic]: { sessions: three } } });
    expect(await alice.ok('DELETE', keys(version, room, 'a'))).toEqual({ count: 5, etag: '2' });
    expect(await alice.ok('DELETE', keys(version, room, 'a'))).toEqual({ count: 5, etag: '2' });
    expect(await alice.ok('DELETE', keys(version, attic))).toEqual({ count: 2, etag: '3' });
    expect(await alice.ok('DELETE', keys(version))).toEqual({ count: 0, etag: '4' });
    expect(await alice.ok('GET', keys(version))).toEqual({ rooms: {} });
  });

  it('go into the newest version only; who has another is told which it is', async () => {
    const alice = await newUser(server, 'alice');
    const old = await create(alice);
    await alice.ok('PUT', keys(old, room, 's'), key());
    await create(alice);
    const { status, body } = await alice.call('PUT', keys(old, room, 's2'), key());
    expect([status, body.errcode, body.current_version]).toEqual([403, 'M_WRONG_ROOM_KEYS_VERSION', '2']);
    expect(await alice.ok('GET', keys(old, room))).toEqual({ sessions: { s: key() } });
    expect(await alice.ok('GET', keys('2'))).toEqual({ rooms: {} });
  });

  it('are taken by the thousand, also from several devices at once, and none is lost', async () => {
    const alice = await newUser(server, 'alice');
    const version = await create(alice);
    const many = (from: number): Json =>
      Object.fromEntries(Array.from({ length: 1000 }, (_, n) => [`session ${from + n}`, key()]));
    await Promise.all(
      [0, 500, 1000, 1500].map((from) =>
        alice.ok('PUT', keys(version), {
          rooms: { [room]: { sessions: many(from) }, [attic]: { sessions: many(from) } },
        }),
      ),
    );
    expect((await alice.ok('GET', '/room_keys/version')).count).toBe(5000);
    const { rooms } = await alice.ok('GET', keys(version));
    expect(Object.values(rooms as Json).map(({ sessions }: Json) => Object.keys(sessions).length)).toEqual([
      2500, 2500,
    ]);
    // Removed by the thousand while others come: what was there before is gone, and the count says what is there.
    const [{ count }] = await Promise.all([
      alice.ok('DELETE', keys(version, room)),
      alice.ok('PUT', keys(version, attic, 'new'), key()),
      alice.ok('PUT', keys(version, room, 'new'), key()),
    ]);
    expect(count).toBeGreaterThanOrEqual(2500);
    const left = Object.keys((await alice.ok('GET', keys(version, room))).sessions);
    expect(left.filter((session) => session !== 'new')).toEqual([]);
    expect((await alice.ok('GET', '/room_keys/version')).count).toBe(2501 + left.length);
    expect((await alice.ok('DELETE', keys(version))).count).toBe(0);
    expect(await alice.ok('GET', keys(version))).toEqual({ rooms: {} });
  });

  it.each([
    ['no rooms', keys('1'), { rooms: [] }],
    ['what is no room id', keys('1'), { rooms: { room: { sessions: {} } } }],
    ['no sessions', keys('1'), { rooms: { [room]: {} } }],
    ['no key', keys('1', room), { sessions: { s: 'key' } }],
    ['an empty session id', keys('1', room), { sessions: { '': key() } }],
    ['a fraction', keys('1', room, 's'), key({ first_message_index: 1.5 })],
    ['a negative count', keys('1', room, 's'), key({ forwarded_count: -1 })],
    ['a number for a truth', keys('1', room, 's'), key({ is_verified: 1 })],
    ['no session data', keys('1', room, 's'), key({ session_data: undefined })],
  ])('are refused, all of them, where there is %s', async (_, path, body) => {
    const alice = await newUser(server, 'alice');
    await create(alice);
    const { status, body: answer } = await alice.call('PUT', path, body);
    expect([status, answer.errcode]).toEqual([400, 'M_BAD_JSON']);
    expect((await alice.ok('GET', '/room_keys/version')).count).toBe(0);
  });

  it('need a version to be named', async () => {
    const alice = await newUser(server, 'alice');
    for (const method of ['GET', 'DELETE']) {
      expect((await alice.call(method, '/room_keys/keys')).status).toBe(400);
    }
  });
});

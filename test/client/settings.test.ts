import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { FederationError } from '../../src/federation-out/requests-contract.ts';
import { badJson } from '../../src/matrix/errors.ts';
import type { JsonObject } from '../../src/matrix/pdu.ts';
import { type AccountServer, startAccountServer } from './account-server.ts';

let server: AccountServer;
/** A fresh user for each test, on one server. */
let me: string;
let token: string;
let users = 0;
let remote: (field: string | undefined) => Promise<JsonObject>;
let asked: string[];

beforeAll(async () => {
  server = await startAccountServer({
    queryRemoteProfile: (name, userId, field) => {
      asked.push(`${name} ${userId} ${field}`);
      return remote(field);
    },
    checkAccountData: async (userId, roomId, type, content) => {
      if (content.bad === true) throw badJson("'bad' may not be true");
      const row = { kind: 'account_data', userId, roomId, content } as const;
      if (type !== 'test.twin') return [{ ...row, type }];
      return [
        { ...row, type: 'test.twin' },
        { ...row, type: 'test.twin.unstable' },
      ];
    },
  });
});
beforeEach(async () => {
  asked = [];
  remote = async () => ({});
  ({ userId: me, token } = await newUser());
});
afterAll(() => server.stop());

function newUser(): ReturnType<AccountServer['register']> {
  users += 1;
  return server.register(`user${users}`);
}

const get = (path: string, as: string | undefined = token): ReturnType<AccountServer['call']> =>
  server.call('GET', path, as === undefined ? {} : { token: as });
const put = (path: string, body: unknown): ReturnType<AccountServer['call']> =>
  server.call('PUT', path, { token, body });

describe('a profile', () => {
  const mine = (): string => `/profile/${me}`;

  it('is empty at first, set field by field, and public', async () => {
    expect((await get(mine(), undefined)).body).toEqual({});
    expect((await put(`${mine()}/displayname`, { displayname: 'Alice' })).body).toEqual({});
    await put(`${mine()}/avatar_url`, { avatar_url: 'mxc://a.test/x' });
    expect((await server.call('GET', mine())).body).toEqual({ displayname: 'Alice', avatar_url: 'mxc://a.test/x' });
    expect((await server.call('GET', `${mine()}/displayname`)).body).toEqual({ displayname: 'Alice' });
    expect((await server.call('GET', `/_matrix/client/r0${mine()}/avatar_url`)).body).toEqual({
      avatar_url: 'mxc://a.test/x',
    });
  });

  it.each([null, ''])('field is cleared by %j', async (value) => {
    await put(`${mine()}/displayname`, { displayname: 'Alice' });
    await put(`${mine()}/displayname`, { displayname: value });
    expect((await get(mine())).body).toEqual({});
    const field = await get(`${mine()}/displayname`);
    expect([field.status, field.body.errcode]).toEqual([404, 'M_NOT_FOUND']);
  });

  it('that does not change is not written', async () => {
    await put(`${mine()}/displayname`, { displayname: 'Alice' });
    const before = server.storage.position();
    await put(`${mine()}/displayname`, { displayname: 'Alice' });
    expect(server.storage.position()).toBe(before);
    await put(`${mine()}/displayname`, { displayname: 'Alicia' });
    expect(server.storage.position()).toBeGreaterThan(before);
  });

  it('keeps both of two fields that are set at once', async () => {
    await Promise.all([
      put(`${mine()}/displayname`, { displayname: 'Alice' }),
      put(`${mine()}/avatar_url`, { avatar_url: 'mxc://a.test/x' }),
    ]);
    expect((await get(mine())).body).toEqual({ displayname: 'Alice', avatar_url: 'mxc://a.test/x' });
  });

  it('of another user cannot be set', async () => {
    const bob = (await newUser()).userId;
    const answer = await put(`/profile/${bob}/displayname`, { displayname: 'Bobby' });
    expect([answer.status, answer.body.errcode]).toEqual([403, 'M_FORBIDDEN']);
    expect((await get(`/profile/${bob}`)).body).toEqual({});
  });

  it('refuses values that are none', async () => {
    const cases: [unknown, string][] = [
      [{}, 'M_MISSING_PARAM'],
      [{ displayname: 1 }, 'M_BAD_JSON'],
      [{ displayname: 'x'.repeat(257) }, 'M_INVALID_PARAM'],
      ['"Alice"', 'M_BAD_JSON'],
    ];
    for (const [body, errcode] of cases) {
      const answer = await put(`${mine()}/displayname`, body);
      expect([body, answer.status, answer.body.errcode]).toEqual([body, 400, errcode]);
    }
  });

  it('of nobody is not found, and of what is no user id is refused', async () => {
    expect((await get('/profile/@nobody:a.test')).body.errcode).toBe('M_NOT_FOUND');
    expect((await get('/profile/@nobody:a.test/displayname')).status).toBe(404);
    expect((await get('/profile/alice')).body.errcode).toBe('M_INVALID_PARAM');
  });

  it('has any further field that is named like one, of any type, until it is removed', async () => {
    const values = ['text', 7, 0.5, true, null, [1, { a: 'é' }], { deep: { er: [] } }];
    for (const value of values) {
      expect((await put(`${mine()}/org.example.own`, { 'org.example.own': value })).body).toEqual({});
      expect((await server.call('GET', `${mine()}/org.example.own`)).body).toEqual({ 'org.example.own': value });
    }
    await put(`${mine()}/m.tz`, { 'm.tz': 'Europe/Berlin' });
    await put(`${mine()}/displayname`, { displayname: 'Alice' });
    expect((await get(mine())).body).toEqual({
      displayname: 'Alice',
      'm.tz': 'Europe/Berlin',
      'org.example.own': { deep: { er: [] } },
    });
    for (const field of ['org.example.own', 'displayname', 'org.example.never']) {
      expect(await server.call('DELETE', `${mine()}/${field}`, { token })).toEqual({ status: 200, body: {} });
    }
    expect((await get(mine())).body).toEqual({ 'm.tz': 'Europe/Berlin' });
    expect((await get(`${mine()}/org.example.own`)).body.errcode).toBe('M_NOT_FOUND');
  });

  it('refuses fields that are none, and fields of others', async () => {
    const cases: [string, unknown, number, string][] = [
      ['own', 'x', 400, 'M_INVALID_PARAM'],
      ['Org.example', 'x', 400, 'M_INVALID_PARAM'],
      ['.example', 'x', 400, 'M_INVALID_PARAM'],
      ['org.', 'x', 400, 'M_INVALID_PARAM'],
      ['__proto__', 'x', 400, 'M_INVALID_PARAM'],
      [`org.${'x'.repeat(252)}`, 'x', 400, 'M_KEY_TOO_LARGE'],
      [`org.${'x'.repeat(251)}`, 'x', 200, ''],
      ['m.tz', 7, 400, 'M_BAD_JSON'],
    ];
    for (const [field, value, status, errcode] of cases) {
      const answer = await put(`${mine()}/${field}`, JSON.stringify({ [field]: value }));
      expect([field, answer.status, answer.body.errcode ?? '']).toEqual([field, status, errcode]);
      if (status === 200) continue;
      const removal = await server.call('DELETE', `${mine()}/${field}`, { token });
      expect([field, removal.status]).toEqual([field, field === 'm.tz' ? 200 : 400]);
    }
    expect((await put(`${mine()}/org.example.own`, { 'org.example.other': 1 })).body.errcode).toBe('M_MISSING_PARAM');
    const bob = (await newUser()).userId;
    expect((await put(`/profile/${bob}/org.example.own`, { 'org.example.own': 1 })).body.errcode).toBe('M_FORBIDDEN');
    const removal = await server.call('DELETE', `/profile/${bob}/displayname`, { token });
    expect([removal.status, removal.body.errcode]).toEqual([403, 'M_FORBIDDEN']);
  });

  it('has 64 KiB, and what does not fit leaves it as it was', async () => {
    await put(`${mine()}/org.example.a`, { 'org.example.a': 'x'.repeat(40_000) });
    const refused = await put(`${mine()}/org.example.b`, { 'org.example.b': 'x'.repeat(30_000) });
    expect([refused.status, refused.body.errcode]).toEqual([400, 'M_PROFILE_TOO_LARGE']);
    expect((await put(`${mine()}/org.example.a`, { 'org.example.a': 'x'.repeat(60_000) })).status).toBe(200);
    expect(Object.keys((await get(mine())).body)).toEqual(['org.example.a']);
  });

  it('of a user elsewhere is asked of their server, and only what is a field is believed', async () => {
    remote = async () => ({ displayname: 'Bob', avatar_url: 7, other: 'x', 'm.tz': [], 'org.example.own': { a: 1 } });
    expect((await get('/profile/@bob:b.test')).body).toEqual({ displayname: 'Bob', 'org.example.own': { a: 1 } });
    expect((await get('/profile/@bob:b.test/displayname')).body).toEqual({ displayname: 'Bob' });
    expect((await get('/profile/@bob:b.test/avatar_url')).status).toBe(404);
    expect(asked).toEqual([
      'b.test @bob:b.test undefined',
      'b.test @bob:b.test displayname',
      'b.test @bob:b.test avatar_url',
    ]);
  });

  it('of a user elsewhere is not found where their server says so, and 502 where it fails', async () => {
    for (const [error, status, errcode] of [
      [new FederationError('refused', 'no', 404, {}), 404, 'M_NOT_FOUND'],
      [new FederationError('refused', 'broken', 500, {}), 502, 'M_UNKNOWN'],
      [new FederationError('unreachable', 'down'), 502, 'M_UNKNOWN'],
    ] as const) {
      remote = () => Promise.reject(error);
      const answer = await get('/profile/@bob:b.test');
      expect([answer.status, answer.body.errcode]).toEqual([status, errcode]);
    }
  });
});

describe('account data', () => {
  const globally = (): string => `/user/${me}/account_data`;
  const inRoom = (): string => `/user/${me}/rooms/!r:a.test/account_data`;
  const paths = [
    ['global', globally],
    ['of a room', inRoom],
  ] as const;

  it.each(paths)('%s is written, replaced and read', async (_, pathOf) => {
    const path = pathOf();
    expect((await get(`${path}/test.key`)).body.errcode).toBe('M_NOT_FOUND');
    expect((await put(`${path}/test.key`, { value: 'first' })).body).toEqual({});
    await put(`${path}/test.key`, { value: 'second', fraction: 0.5 });
    expect((await get(`${path}/test.key`)).body).toEqual({ value: 'second', fraction: 0.5 });
  });

  it('is global or of one room, never both', async () => {
    await put(`${globally()}/test.key`, { a: 1 });
    expect((await get(`${inRoom()}/test.key`)).status).toBe(404);
    await put(`${inRoom()}/test.key`, { b: 2 });
    expect((await get(`${globally()}/test.key`)).body).toEqual({ a: 1 });
  });

  it('keeps every key that was written', async () => {
    const text = '{"__proto__":{"a":1},"constructor":2,"b":[{}]}';
    await put(`${globally()}/test.key`, text);
    const response = await fetch(`${server.url}/_matrix/client/v3${globally()}/test.key?access_token=${token}`);
    expect(await response.text()).toBe(text);
  });

  it('is reported anew each time it is written, changed or not', async () => {
    await put(`${globally()}/test.key`, { a: 1 });
    const before = server.storage.position();
    await put(`${globally()}/test.key`, { a: 1 });
    expect(server.storage.position()).toBeGreaterThan(before);
  });

  it.each(paths)('%s is another user’s neither to read nor to write', async (_, pathOf) => {
    const path = pathOf();
    const bob = (await newUser()).token;
    await put(`${path}/test.key`, { a: 1 });
    expect((await get(`${path}/test.key`, bob)).body.errcode).toBe('M_FORBIDDEN');
    const written = await server.call('PUT', `${path}/test.key`, { token: bob, body: { b: 1 } });
    expect([written.status, written.body.errcode]).toEqual([403, 'M_FORBIDDEN']);
    expect((await get(`${path}/test.key`)).body).toEqual({ a: 1 });
  });

  it.each(['m.fully_read', 'm.push_rules'])('%s is the server’s to write', async (type) => {
    for (const [, pathOf] of paths) {
      const answer = await put(`${pathOf()}/${type}`, { a: 1 });
      expect([answer.status, answer.body.errcode]).toEqual([405, 'M_BAD_JSON']);
    }
  });

  it('obeys whoever owns its type: other rows, or a refusal that leaves the old content', async () => {
    await put(`${globally()}/test.twin`, { a: 1 });
    expect((await get(`${globally()}/test.twin.unstable`)).body).toEqual({ a: 1 });
    expect((await put(`${globally()}/test.twin`, { bad: true })).body.errcode).toBe('M_BAD_JSON');
    expect((await get(`${globally()}/test.twin`)).body).toEqual({ a: 1 });
  });

  it('refuses bodies that are no objects', async () => {
    for (const [body, errcode] of [
      ['[]', 'M_BAD_JSON'],
      ['"text"', 'M_BAD_JSON'],
      ['{', 'M_NOT_JSON'],
    ] as const) {
      expect((await put(`${globally()}/test.key`, body)).body.errcode).toBe(errcode);
    }
  });

  it('refuses what is no room id', async () => {
    const answer = await put(`/user/${me}/rooms/room/account_data/test.key`, {});
    expect([answer.status, answer.body.errcode]).toEqual([400, 'M_INVALID_PARAM']);
  });
});

describe('tags', () => {
  const tags = (): string => `/user/${me}/rooms/!r:a.test/tags`;

  it('are put, listed, kept as m.tag, and removed', async () => {
    expect((await get(tags())).body).toEqual({ tags: {} });
    await put(`${tags()}/m.favourite`, { order: 0.25 });
    await put(`${tags()}/u.work`, {});
    expect((await get(tags())).body).toEqual({ tags: { 'm.favourite': { order: 0.25 }, 'u.work': {} } });
    const stored = await get(`/user/${me}/rooms/!r:a.test/account_data/m.tag`);
    expect(stored.body).toEqual({ tags: { 'm.favourite': { order: 0.25 }, 'u.work': {} } });
    await server.call('DELETE', `${tags()}/m.favourite`, { token });
    expect((await server.call('DELETE', `${tags()}/m.favourite`, { token })).status).toBe(200);
    expect((await get(tags())).body).toEqual({ tags: { 'u.work': {} } });
  });

  it('are all kept when many are put at once', async () => {
    await Promise.all([1, 2, 3, 4, 5].map((n) => put(`${tags()}/u.${n}`, { order: n / 10 })));
    expect(Object.keys((await get(tags())).body.tags)).toHaveLength(5);
  });

  it('may have any name', async () => {
    await put(`${tags()}/__proto__`, { order: 1 });
    const response = await fetch(`${server.url}/_matrix/client/v3${tags()}?access_token=${token}`);
    expect(await response.text()).toBe('{"tags":{"__proto__":{"order":1}}}');
  });

  it('are at most 500 on a room', async () => {
    const many = Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`u.${index}`, {}]));
    await put(`/user/${me}/rooms/!r:a.test/account_data/m.tag`, { tags: many });
    expect((await put(`${tags()}/u.more`, {})).body.errcode).toBe('M_FORBIDDEN');
    expect((await put(`${tags()}/u.7`, { order: 1 })).status).toBe(200);
  });

  it('survive an m.tag that is nonsense', async () => {
    await put(`/user/${me}/rooms/!r:a.test/account_data/m.tag`, { tags: 'none' });
    expect((await get(tags())).body).toEqual({ tags: {} });
    await put(`${tags()}/u.work`, {});
    expect((await get(tags())).body).toEqual({ tags: { 'u.work': {} } });
  });

  it('refuse long names, an order that is no number, and other users', async () => {
    expect((await put(`${tags()}/${'é'.repeat(128)}`, {})).body.errcode).toBe('M_INVALID_PARAM');
    expect((await put(`${tags()}/u.work`, { order: 'first' })).body.errcode).toBe('M_BAD_JSON');
    const bob = (await newUser()).token;
    expect((await get(tags(), bob)).status).toBe(403);
    expect((await server.call('PUT', `${tags()}/u.work`, { token: bob, body: {} })).status).toBe(403);
    expect((await server.call('DELETE', `${tags()}/u.work`, { token: bob })).status).toBe(403);
  });
});

describe('filters', () => {
  const filters = (): string => `/user/${me}/filter`;
  const create = (body: unknown): ReturnType<AccountServer['call']> => server.call('POST', filters(), { token, body });

  it('are kept and given back as they were', async () => {
    const filter = { room: { timeline: { limit: 10 } }, 'org.example': [1] };
    const { body } = await create(filter);
    expect(body.filter_id).toMatch(/^[^{]/);
    expect((await get(`${filters()}/${body.filter_id}`)).body).toEqual(filter);
  });

  it('have the same id when they are the same, and another when they are not', async () => {
    const first = (await create({ room: {} })).body.filter_id;
    expect((await create({ room: {} })).body.filter_id).toBe(first);
    expect((await create({})).body.filter_id).not.toBe(first);
  });

  it('that are none are refused', async () => {
    for (const filter of [
      { presence: 'not an object' },
      { room: { timeline: 'not an object' } },
      { room: { timeline: { rooms: 'not a list' } } },
      { room: { timeline: { types: [1] } } },
      { room: { timeline: { rooms: ['not a room id'] } } },
      { room: { timeline: { senders: ['not a user id'] } } },
    ]) {
      const answer = await create(filter);
      expect([filter, answer.status, answer.body.errcode]).toEqual([filter, 400, 'M_BAD_JSON']);
    }
  });

  it('that are unknown or another user’s are not given', async () => {
    const id = (await create({})).body.filter_id;
    expect((await get(`${filters()}/none`)).body.errcode).toBe('M_NOT_FOUND');
    const bob = await newUser();
    expect((await get(`${filters()}/${id}`, bob.token)).status).toBe(403);
    expect((await server.call('POST', filters(), { token: bob.token, body: {} })).status).toBe(403);
    expect((await get(`/user/${bob.userId}/filter/${id}`, bob.token)).status).toBe(404);
  });

  it('of more than 64 KiB are refused', async () => {
    expect((await create({ pad: 'x'.repeat(64 * 1024) })).status).toBe(413);
  });
});

describe('what the server says of itself', () => {
  it('has versions in the form of the specification, and features of later ones', async () => {
    const { body } = await server.call('GET', '/_matrix/client/versions');
    expect(body.versions).toEqual(expect.arrayContaining(['v1.1', 'v1.16']));
    for (const version of body.versions) expect(version).toMatch(/^(r0\.\d+\.\d+|v[1-9]\d*\.\d+)$/);
    expect(body.unstable_features['org.matrix.msc4222']).toBe(true);
    expect(body.unstable_features['events.matrix-community.presence_sharing_config']).toBe(true);
  });

  it('has capabilities, for users only', async () => {
    const { body } = await get('/capabilities');
    expect(body.capabilities).toEqual({
      'm.room_versions': { default: '11', available: { '11': 'stable' } },
      'm.change_password': { enabled: true },
      'm.profile_fields': { enabled: true },
      'm.set_displayname': { enabled: true },
      'm.set_avatar_url': { enabled: true },
      'm.3pid_changes': { enabled: false },
      'm.get_login_token': { enabled: true },
      'm.forget_forced_upon_leave': { enabled: false },
    });
    expect((await server.call('GET', '/capabilities')).status).toBe(401);
  });

  it('has no well-known document unless an address is configured', async () => {
    const absent = await server.call('GET', '/.well-known/matrix/client');
    expect([absent.status, absent.body.errcode]).toEqual([404, 'M_NOT_FOUND']);
    const other = await startAccountServer({ baseUrl: 'https://a.test' });
    expect((await other.call('GET', '/.well-known/matrix/client')).body).toEqual({
      'm.homeserver': { base_url: 'https://a.test' },
    });
    await other.stop();
  });
});

import { Agent, type IncomingHttpHeaders } from 'node:http';
import { afterAll, describe, expect, it } from 'vitest';
import type { Route } from '../../src/http/route.ts';
import { signingKey, TestKey } from '../support/key-fixture.ts';
import { faultOf, type RawBody, sendRaw } from '../support/raw-request.ts';
import { TestServer } from '../support/server.ts';
import type { TestUser } from '../support/user.ts';
import { encode, type Json, newUser, newUsers, query } from './rooms-support.ts';

/** Every route of the client-server API, as the running server has them, against what no client should send. */
const server = await TestServer.start();
const [alice, bob] = await newUsers(server, 'alice', 'bob');
/** Good for any number of refreshes, as long as nobody uses what they give. */
const { refresh_token: refreshToken } = await bob.ok('POST', '/login', {
  type: 'm.login.password',
  identifier: { type: 'm.id.user', user: bob.userId },
  password: 'correct horse',
  refresh_token: true,
});
const { storage } = server.running.lantern;
afterAll(() => server.stop());

interface Endpoint {
  readonly name: string;
  readonly route: Route;
  readonly path: string;
}

const endpoints: Endpoint[] = server.running.lantern.http.routes.flatMap((route) => {
  const path = typeof route.path === 'string' ? route.path : (route.path[0] ?? '');
  const isClients = /^\/(_matrix\/client|\.well-known\/matrix\/client)/.test(path);
  return isClients ? [{ name: `${route.method} ${path.replace('/_matrix/client/v3', '')}`, route, path }] : [];
});
const named = (wanted: (endpoint: Endpoint) => boolean): [string, Endpoint][] =>
  endpoints.filter(wanted).map((endpoint) => [endpoint.name, endpoint]);

interface Place {
  readonly roomId: string;
  readonly eventId: string;
}

async function newPlace(): Promise<Place> {
  const roomId = await alice.createRoom({ preset: 'public_chat' });
  return { roomId, eventId: await alice.say(roomId, 'x') };
}

const shared = await newPlace();
await alice.ok('PUT', `/pushrules/global/room/${encode(`!rule:${server.name}`)}`, { actions: [] });

/** A place for requests that may succeed: one of their own for those that end it. */
async function placeFor({ name }: Endpoint): Promise<Place> {
  return name in preparations || name === 'POST /rooms/:roomId/leave' ? newPlace() : shared;
}

let transactions = 0;
/** The newest, which alone takes keys. */
let backupVersion = '1';

async function newBackup(): Promise<void> {
  backupVersion = (await alice.ok('POST', '/room_keys/version', { algorithm: 'a', auth_data: {} })).version;
}

/** What must stand in the query of a good request. */
function queryOf({ path }: Endpoint): string {
  return path.startsWith('/_matrix/client/v3/room_keys/keys') ? `?version=${backupVersion}` : '';
}

/** The path with something that fits in each place; `other` replaces them. */
function pathOf({ path }: Endpoint, place: Place, other: Record<string, string> = {}): string {
  transactions += 1;
  const fitting: Record<string, string> = {
    ...place,
    userId: alice.userId,
    deviceId: alice.deviceId,
    roomAlias: `#bad${transactions}:${server.name}`,
    roomIdOrAlias: place.roomId,
    eventType: 'test.type',
    relType: 'm.thread',
    stateKey: '',
    type: 'test.type',
    version: backupVersion,
    sessionId: 'session',
    tag: 'u.tag',
    filterId: '0',
    protocol: 'irc',
    serviceId: 'irc',
    networkId: 'net',
    keyName: 'displayname',
    kind: 'room',
    ruleId: `!rule:${server.name}`,
    receiptType: 'm.read',
    serverName: server.name,
    mediaId: 'unknown',
    fileName: 'name.png',
    transactionId: `bad${transactions}`,
    ...other,
  };
  return path.replace(/:([A-Za-z]+)/g, (_, name: string) => {
    const value = fitting[name];
    if (value === undefined) throw new Error(`nothing fits :${name} of ${path}`);
    return value.startsWith('raw ') ? value.slice(4) : encode(value);
  });
}

interface Reply {
  status: number;
  errcode: string | undefined;
  body: Json;
  headers: IncomingHttpHeaders;
}

const agent = new Agent({ keepAlive: true });
afterAll(() => agent.destroy());

/** Any request. Whatever comes back must be JSON that browsers may read, and no failure of the server. */
async function request(
  method: string,
  path: string,
  { body, token = alice.accessToken }: { body?: RawBody; token?: string | null } = {},
): Promise<Reply> {
  const sent = token === null ? {} : { authorization: `Bearer ${token}` };
  const answer = await sendRaw(server.url, agent, { method, path, body, headers: sent });
  const { status, text, headers } = answer;
  const fault = faultOf(answer);
  if (fault !== undefined) throw new Error(`${method} ${path}: ${status} ${fault}: ${text.slice(0, 500)}`);
  const parsed = JSON.parse(text);
  return { status, errcode: parsed.errcode, body: parsed, headers };
}

const refusalOf = ({ status, errcode }: Reply): unknown[] => [status, errcode];

/** What each body must contain to be good, so that what is added to it can be judged alone. */
const goodBodies: Record<string, (place: Place) => unknown> = {
  'POST /_matrix/client/v1/appservice/:serviceId/ping': () => ({ transaction_id: 'a' }),
  'POST /register': () => ({
    username: `new${transactions}`,
    password: 'long enough',
    auth: { type: 'm.login.dummy' },
  }),
  'POST /login': () => ({
    type: 'm.login.password',
    identifier: { type: 'm.id.user', user: alice.userId },
    password: 'correct horse',
  }),
  'POST /refresh': () => ({ refresh_token: refreshToken }),
  'POST /_matrix/client/v1/login/get_token': () => ({ auth: password() }),
  'POST /user/:userId/openid/request_token': () => ({}),
  'POST /account/password': () => ({ new_password: 'other', auth: { ...password(), password: 'wrong' } }),
  'POST /account/deactivate': () => ({ auth: { ...password(), password: 'wrong' } }),
  'PUT /devices/:deviceId': () => ({ display_name: 'Name' }),
  'DELETE /devices/:deviceId': () => ({ auth: { ...password(), password: 'wrong' } }),
  'POST /delete_devices': () => ({ devices: [], auth: password() }),
  'PUT /profile/:userId/:keyName': () => ({ displayname: `Name ${transactions}` }),
  'PUT /user/:userId/account_data/:type': () => ({}),
  'POST /pushers/set': () => ({
    kind: 'http',
    app_id: 'org.example.app',
    pushkey: 'key',
    app_display_name: 'App',
    device_display_name: 'Phone',
    lang: 'en',
    data: { url: 'https://push.example/_matrix/push/v1/notify' },
  }),
  'POST /keys/upload': () => ({ one_time_keys: { 'signed_curve25519:A': { key: 'k', signatures: {} } } }),
  'POST /keys/query': () => ({ device_keys: {} }),
  'POST /keys/claim': () => ({ one_time_keys: {} }),
  'POST /keys/device_signing/upload': () => ({
    master_key: signingKey(alice.userId, 'master', new TestKey('master')),
  }),
  'POST /keys/signatures/upload': () => ({}),
  'PUT /pushrules/global/:kind/:ruleId': () => ({ actions: ['notify'] }),
  'PUT /pushrules/global/:kind/:ruleId/enabled': () => ({ enabled: true }),
  'PUT /pushrules/global/:kind/:ruleId/actions': () => ({ actions: [] }),
  'PUT /user/:userId/rooms/:roomId/account_data/:type': () => ({}),
  'PUT /user/:userId/rooms/:roomId/tags/:tag': () => ({ order: 0.5 }),
  'POST /user/:userId/filter': () => ({}),
  'POST /createRoom': () => ({ name: 'Name', invite: [bob.userId], preset: 'private_chat' }),
  'POST /join/:roomIdOrAlias': () => ({}),
  'POST /knock/:roomIdOrAlias': () => ({}),
  'POST /rooms/:roomId/join': () => ({}),
  'POST /rooms/:roomId/leave': () => ({}),
  'POST /rooms/:roomId/invite': () => ({ user_id: bob.userId }),
  'POST /rooms/:roomId/kick': () => ({ user_id: bob.userId }),
  'POST /rooms/:roomId/ban': () => ({ user_id: bob.userId }),
  'POST /rooms/:roomId/unban': () => ({ user_id: bob.userId }),
  'PUT /rooms/:roomId/send/:eventType/:transactionId': () => ({ body: 'x' }),
  'POST /rooms/:roomId/report': () => ({ reason: 'x' }),
  'POST /rooms/:roomId/report/:eventId': () => ({ reason: 'x' }),
  'POST /users/:userId/report': () => ({ reason: 'x' }),
  'POST /search': () => ({ search_categories: { room_events: { search_term: 'x' } } }),
  'PUT /rooms/:roomId/redact/:eventId/:transactionId': () => ({ reason: 'x' }),
  'PUT /rooms/:roomId/state/:eventType/:stateKey': () => ({ body: 'x' }),
  'POST /room_keys/version': () => ({ algorithm: 'a', auth_data: {} }),
  'PUT /room_keys/version/:version': () => ({ algorithm: 'a', auth_data: {} }),
  'PUT /room_keys/keys': () => ({ rooms: {} }),
  'PUT /room_keys/keys/:roomId': () => ({ sessions: {} }),
  'PUT /room_keys/keys/:roomId/:sessionId': () => ({
    first_message_index: 0,
    forwarded_count: 0,
    is_verified: false,
    session_data: {},
  }),
  'PUT /sendToDevice/:eventType/:transactionId': () => ({ messages: { [alice.userId]: { '*': {} } } }),
  'PUT /directory/room/:roomAlias': ({ roomId }) => ({ room_id: roomId }),
  'PUT /directory/list/appservice/:networkId/:roomId': () => ({ visibility: 'public' }),
  'PUT /directory/list/room/:roomId': () => ({ visibility: 'public' }),
  'POST /publicRooms': () => ({ limit: 5 }),
  'POST /rooms/:roomId/upgrade': () => ({ new_version: '11' }),
  'POST /user_directory/search': () => ({ search_term: 'x' }),
  'PUT /rooms/:roomId/typing/:userId': () => ({ typing: true, timeout: 1_000 }),
  'POST /rooms/:roomId/receipt/:receiptType/:eventId': () => ({}),
  'POST /rooms/:roomId/read_markers': ({ eventId }) => ({ 'm.fully_read': eventId }),
  'PUT /presence/:userId/status': () => ({ presence: 'online' }),
};

/** What must have happened before a good request can succeed. */
const preparations: Record<string, (place: Place) => Promise<void>> = {
  'PUT /room_keys/version/:version': newBackup,
  'PUT /room_keys/keys': newBackup,
  'PUT /room_keys/keys/:roomId': newBackup,
  'PUT /room_keys/keys/:roomId/:sessionId': newBackup,
  'POST /rooms/:roomId/kick': ({ roomId }) => bob.join(roomId),
  'POST /rooms/:roomId/upgrade': async () => {},
  'POST /knock/:roomIdOrAlias': async ({ roomId }) => {
    await alice.setState(roomId, 'm.room.join_rules', { join_rule: 'knock' });
    await alice.leave(roomId);
  },
  'POST /rooms/:roomId/unban': async ({ roomId }) => {
    await alice.ok('POST', `/rooms/${encode(roomId)}/ban`, { user_id: bob.userId });
  },
};

/** What a good request answers where that is not 200: most of these would end the user. */
const goodStatus: Record<string, number> = {
  'POST /account/password': 401,
  'POST /account/deactivate': 401,
  'DELETE /devices/:deviceId': 401,
  // Of application services only.
  'POST /_matrix/client/v1/appservice/:serviceId/ping': 403,
  'PUT /directory/list/appservice/:networkId/:roomId': 403,
};

function password(): Record<string, unknown> {
  return {
    type: 'm.login.password',
    identifier: { type: 'm.id.user', user: alice.userId },
    password: 'correct horse',
  };
}

const takesBody = ({ route }: Endpoint): boolean => route.body !== undefined;
const needsToken = ({ route }: Endpoint): boolean => route.access === 'user';

/** Sends what would be right, with `extra` fields; everything the bad ones left behind would show here. */
async function sendGood(endpoint: Endpoint, extra: Record<string, unknown> = {}): Promise<void> {
  const place = await placeFor(endpoint);
  await preparations[endpoint.name]?.(place);
  const body = JSON.stringify({ ...(goodBodies[endpoint.name]?.(place) as object), ...extra });
  const path = pathOf(endpoint, place) + queryOf(endpoint);
  const { status, errcode } = await request(endpoint.route.method, path, { body });
  expect([endpoint.name, status, errcode]).toEqual([
    endpoint.name,
    goodStatus[endpoint.name] ?? 200,
    status === 401 || status === 403 ? 'M_FORBIDDEN' : undefined,
  ]);
}

const deep = (depth: number): string => `{"a":${'['.repeat(depth)}${']'.repeat(depth)}}`;
const bytes = (...values: number[]): Uint8Array<ArrayBuffer> => new Uint8Array(values);

const tooMuch = 'more than the route takes';
const userBodyBytesMax = 1024 * 1024;

function longBody({ route }: Endpoint): string {
  return `{"a":"${'x'.repeat(route.bodyBytesMax ?? userBodyBytesMax)}"}`;
}

const badBodies: [string, RawBody, number, string][] = [
  ['half an object', '{"a":', 400, 'M_NOT_JSON'],
  ['a comma too many', '{"a":1,}', 400, 'M_NOT_JSON'],
  ['single quotes', "{'a':1}", 400, 'M_NOT_JSON'],
  ['two values', '{}{}', 400, 'M_NOT_JSON'],
  ['a form', 'a=1&b=2', 400, 'M_NOT_JSON'],
  ['NaN', '{"a":NaN}', 400, 'M_NOT_JSON'],
  ['a raw control character', '{"a":"\u0001"}', 400, 'M_NOT_JSON'],
  ['bytes that are no UTF-8', bytes(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d), 400, 'M_NOT_JSON'],
  ['a surrogate in UTF-8', bytes(0x7b, 0x22, 0xed, 0xa0, 0x80, 0x22, 0x3a, 0x31, 0x7d), 400, 'M_NOT_JSON'],
  ['a string', '"text"', 400, 'M_BAD_JSON'],
  ['a list', '[]', 400, 'M_BAD_JSON'],
  ['a number', '7', 400, 'M_BAD_JSON'],
  ['null', 'null', 400, 'M_BAD_JSON'],
  ['true', 'true', 400, 'M_BAD_JSON'],
  ['a lone surrogate', '{"a":"\\ud800"}', 400, 'M_BAD_JSON'],
  ['a lone surrogate as a key', '{"\\udc00":1}', 400, 'M_BAD_JSON'],
  ['deep nesting', deep(1_000), 400, 'M_BAD_JSON'],
  ['very deep nesting', deep(20_000), 400, 'M_BAD_JSON'],
  ['2^53', '{"a":9007199254740992}', 400, 'M_BAD_JSON'],
  ['-2^53', '{"a":{"b":[-9007199254740992]}}', 400, 'M_BAD_JSON'],
  ['a number beyond all', '{"a":1e400}', 400, 'M_BAD_JSON'],
  [tooMuch, '', 413, 'M_TOO_LARGE'],
];

it('the table of good bodies has every route that takes one', () => {
  expect(
    named(takesBody)
      .map(([name]) => name)
      .sort(),
  ).toEqual(Object.keys(goodBodies).sort());
});

describe.each(named(takesBody))('%s', (_, endpoint) => {
  it('refuses bodies that are none, writes nothing, and takes a good one after them', async () => {
    const place = await placeFor(endpoint);
    await server.settle();
    const before = storage.position();
    for (const [what, body, status, errcode] of badBodies) {
      const path = pathOf(endpoint, place) + queryOf(endpoint);
      const reply = await request(endpoint.route.method, path, { body: what === tooMuch ? longBody(endpoint) : body });
      expect([what, ...refusalOf(reply)]).toEqual([what, status, errcode]);
    }
    await server.settle();
    expect(storage.position()).toBe(before);
    await sendGood(endpoint);
  });

  it('ignores fields that it does not know', async () => {
    await sendGood(endpoint, { 'org.example.unknown': { deep: [1, 'x', null] }, __proto__x: 1, constructor: 'x' });
  });
});

describe.each(named(needsToken))('%s', (_, endpoint) => {
  it('is for who has a token', async () => {
    const place = { roomId: `!none:${server.name}`, eventId: '$none' };
    const { method } = endpoint.route;
    const path = pathOf(endpoint, place);
    const sendWith = (token: string | null, more = '') => request(method, path + more, { token });
    expect(refusalOf(await sendWith(null))).toEqual([401, 'M_MISSING_TOKEN']);
    expect(refusalOf(await sendWith(''))).toEqual([401, 'M_MISSING_TOKEN']);
    for (const token of ['unknown', `${alice.accessToken}x`, 'x'.repeat(5_000), '%00']) {
      const reply = await sendWith(token);
      expect([token, ...refusalOf(reply)]).toEqual([token, 401, 'M_UNKNOWN_TOKEN']);
    }
    expect(refusalOf(await sendWith(null, '?access_token=unknown'))).toEqual([401, 'M_UNKNOWN_TOKEN']);
    expect(refusalOf(await sendWith(null, '?access_token='))).toEqual([401, 'M_MISSING_TOKEN']);
  });
});

describe('what is not there', () => {
  const methods = ['GET', 'POST', 'PUT', 'DELETE', 'PATCH'];

  it('is 405 M_UNRECOGNIZED for a known path with another method, which names those it has', async () => {
    const place = { roomId: `!none:${server.name}`, eventId: '$none' };
    const byPath = new Map<string, Set<string>>();
    for (const { path, route } of endpoints) byPath.set(path, (byPath.get(path) ?? new Set()).add(route.method));
    for (const [path, allowed] of byPath) {
      const concrete = pathOf({ path } as Endpoint, place, { stateKey: 'key' });
      for (const method of methods) {
        if (allowed.has(method)) continue;
        const reply = await request(method, concrete, method === 'GET' ? {} : { body: '{}' });
        expect([method, path, ...refusalOf(reply)]).toEqual([method, path, 405, 'M_UNRECOGNIZED']);
        for (const name of allowed) expect(reply.headers.allow).toContain(name);
      }
    }
  });

  it('is 404 M_UNRECOGNIZED for an unknown path, with and without a token', async () => {
    for (const path of [
      '/',
      '/_matrix',
      '/_matrix/unknown',
      '/_matrix/client',
      '/_matrix/client/unknown',
      '/_matrix/client/v3',
      '/_matrix/client/v3/',
      '/_matrix/client/v3/unknown',
      '/_matrix/client/v3/sync/',
      '/_matrix/client/v3/pushrules',
      '/_matrix/client/v3/Sync',
      '/_matrix/client/v99/sync',
      '/_matrix/client/v3/rooms',
      '/_matrix/client/v3/rooms/!a:b/unknown',
      '/_matrix/federation/v1/version',
      '/_matrix/media/v3/unknown',
      '/_matrix/key/unknown',
      '/.well-known/matrix/unknown',
      '//_matrix/client/v3/sync',
    ]) {
      for (const method of methods) {
        for (const token of [alice.accessToken, null]) {
          const reply = await request(method, path, { token });
          expect([method, path, ...refusalOf(reply)]).toEqual([method, path, 404, 'M_UNRECOGNIZED']);
        }
      }
    }
  });

  it('is answered to browsers that ask beforehand, as what is there', async () => {
    for (const path of ['/_matrix/client/v3/sync', '/_matrix/client/v3/unknown', '/']) {
      const response = await fetch(server.url + path, {
        method: 'OPTIONS',
        headers: { origin: 'https://app.example', 'access-control-request-method': 'PUT' },
      });
      expect([path, response.ok, await response.text()]).toEqual([path, true, '']);
      expect(response.headers.get('access-control-allow-origin')).toBe('*');
      expect(response.headers.get('access-control-allow-methods')).toMatch(/GET.*POST.*PUT.*DELETE.*OPTIONS/);
      expect(response.headers.get('access-control-allow-headers')).toMatch(/Content-Type.*Authorization/);
    }
  });
});

describe('an authorization header', () => {
  it.each(['Basic abc', 'Bearer', 'Bearer ', 'token', 'Bearer a b', 'X-Matrix origin=a'])(
    '%j is no token',
    async (value) => {
      const response = await fetch(`${server.url}/_matrix/client/v3/account/whoami`, {
        headers: { authorization: value },
      });
      expect([response.status, ((await response.json()) as Json).errcode]).toEqual([401, 'M_MISSING_TOKEN']);
      expect(response.headers.get('access-control-allow-origin')).toBe('*');
    },
  );
});

it('a body where none is read is none of the server’s business, however large', async () => {
  const { roomId } = await newPlace();
  await alice.leave(roomId);
  const path = `/_matrix/client/v3/rooms/${encode(roomId)}/forget`;
  for (const body of ['{', '"x"', 'x'.repeat(300_000)])
    expect((await request('POST', path, { body })).status).toBe(200);
  expect((await request('GET', '/_matrix/client/v3/account/whoami')).status).toBe(200);
});

it('a body needs no content type, and any is taken', async () => {
  const { roomId } = await newPlace();
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/json; charset=latin1']) {
    const response = await fetch(
      `${server.url}/_matrix/client/v3/rooms/${encode(roomId)}/send/test.x/${encode(type)}`,
      {
        method: 'PUT',
        headers: { authorization: `Bearer ${alice.accessToken}`, 'content-type': type },
        body: '{"body":"ü"}',
      },
    );
    expect(response.status).toBe(200);
  }
});

it('more waiting syncs of one user than are good end the oldest, and nobody else notices', async () => {
  const crowd = await newUser(server, 'crowd');
  await crowd.sync();
  const gone = new AbortController();
  let answered = 0;
  const waiting = Array.from({ length: 60 }, async () => {
    const status = await syncing(crowd, gone.signal);
    if (status === 200) answered += 1;
  });
  while (answered < 60 - 32) expect((await alice.call('GET', '/account/whoami')).status).toBe(200);
  gone.abort();
  await Promise.all(waiting);
  expect(answered).toBe(60 - 32);
});

function syncing(user: TestUser, signal: AbortSignal): Promise<number> {
  const path = `/_matrix/client/v3/sync${query({ timeout: '30000', since: user.since })}`;
  return fetch(server.url + path, { signal, headers: { authorization: `Bearer ${user.accessToken}` } }).then(
    ({ status }) => status,
    () => 0,
  );
}

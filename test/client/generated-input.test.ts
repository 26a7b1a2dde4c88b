import { Agent } from 'node:http';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import type { UserId } from '../../src/matrix/ids.ts';
import { type BadRequest, badRequest, type Expected, pathOf, type Token } from '../support/bad-requests.ts';
import { propertyRuns } from '../support/property-runs.ts';
import { faultOf, type RawAnswer, sendRaw } from '../support/raw-request.ts';
import { TestServer } from '../support/server.ts';
import { TestUser } from '../support/user.ts';
import { type Endpoint, endpoints } from './endpoints.ts';
import { encode, newUsers } from './rooms-support.ts';

/** A whole server, both its APIs on one listener, against what `endpoints.ts` makes of the specification. */
const server = await TestServer.start({
  config: { listeners: [{ port: 0, serves: ['client', 'federation'] }], public_base_url: 'https://a.test' },
});
const [alice, bob] = await newUsers(server, 'alice', 'bob');
// Whoever may not call something is told so before anything of the request is looked at.
await server.running.lantern.storage.commit({ rows: [{ kind: 'account_admin', userId: alice.userId as UserId }] });
const agent = new Agent({ keepAlive: true, maxSockets: 32 });
afterAll(async () => {
  agent.destroy();
  await server.stop();
});

const roomId = await alice.createRoom({ preset: 'public_chat' });
const spareRoomId = await alice.createRoom({ preset: 'public_chat' });
const eventId = await alice.say(roomId, 'x');
const signedOut = await alice.newDevice();
await signedOut.ok('POST', '/logout', {});

/** A token that ended by itself. */
const expired = await (async () => {
  const login = { type: 'm.login.password', user: alice.userId, password: 'correct horse', refresh_token: true };
  const { access_token: token, expires_in_ms: lifetimeMs } = await new TestUser(server.url).ok('POST', '/login', login);
  await server.clock.advance(lifetimeMs);
  return token;
})();

const tokens: Readonly<Record<Token, string | null>> = {
  own: alice.accessToken,
  none: null,
  unknown: 'unknown',
  'signed out': signedOut.accessToken,
  expired,
  foreign: bob.accessToken,
};

/** Something that exists for each place of a path. */
const fitting: Readonly<Record<string, string>> = {
  roomId,
  spareRoomId,
  eventId,
  roomIdOrAlias: roomId,
  userId: alice.userId,
  deviceId: alice.deviceId,
  roomAlias: `#bad:${server.name}`,
  eventType: 'test.type',
  relType: 'm.thread',
  stateKey: 'key',
  txnId: 'txn',
  type: 'test.type',
  tag: 'u.tag',
  filterId: '0',
  receiptType: 'm.read',
  keyName: 'displayname',
  kind: 'override',
  ruleId: 'rule',
  protocol: 'irc',
  serviceId: 'irc',
  networkId: 'net',
  keyId: 'ed25519:1',
  ownName: server.name,
  serverName: server.name,
  mediaId: 'unknown',
  fileName: 'name.png',
  version: '1',
  sessionId: 'session',
};

const named: Readonly<Record<string, string>> = {
  $user: alice.userId,
  $other: bob.userId,
  $room: roomId,
  $event: eventId,
};

async function send(request: BadRequest): Promise<RawAnswer> {
  const token = tokens[request.token];
  const authorization = request.authorization ?? (token === null ? null : `Bearer ${token}`);
  return sendRaw(server.url, agent, {
    method: request.method,
    path: urlOf(request),
    headers: authorization === null ? {} : { authorization },
    body: bodyOf(request),
  });
}

function urlOf({ endpoint, parts, query, padding }: BadRequest): string {
  const path = pathOf(endpoint).replace(/\{(\w+)\}/g, (_, name: string) => {
    const fits = fitting[name];
    if (fits === undefined) throw new Error(`nothing fits {${name}} of ${endpoint.call}`);
    return parts[name] ?? encode(fits);
  });
  const more = padding === null || padding.where === 'body' ? '' : 'x'.repeat(padding.bytes);
  if (more === '') return path + query;
  return padding?.where === 'path' ? `${path}${more}${query}` : `${path}${query === '' ? '?' : query}&${more}`;
}

function bodyOf({ body, padding }: BadRequest): string | Uint8Array<ArrayBuffer> | undefined {
  if (body === undefined || typeof body === 'string' || body instanceof Uint8Array) return body;
  const fields = JSON.stringify(body.fields).replace(/"(\$\w+)"/g, (text, name) => JSON.stringify(named[name] ?? text));
  if (padding?.where !== 'body') return fields;
  return `${fields.slice(0, -1)}${fields === '{}' ? '' : ','}"org.example.more":"${'x'.repeat(padding.bytes)}"}`;
}

const malformed: ReadonlySet<string> = new Set(['M_BAD_JSON', 'M_INVALID_PARAM', 'M_MISSING_PARAM', 'M_NOT_JSON']);

/** Whether an answer is what must come of the request. */
const meets: Readonly<Record<Expected, (status: number, errcode: string | undefined) => boolean>> = {
  anything: () => true,
  malformed: (status, errcode = '') => status === 400 && malformed.has(errcode),
  'not JSON': (status, errcode) => status === 400 && errcode === 'M_NOT_JSON',
  'well-formed': (status, errcode = '') => status !== 400 || !malformed.has(errcode),
  'no token': (status, errcode) => status === 401 && errcode === 'M_MISSING_TOKEN',
  'bad token': (status, errcode) => status === 401 && errcode === 'M_UNKNOWN_TOKEN',
  'no signature': (status, errcode) => status === 401 && errcode === 'M_UNAUTHORIZED',
  'no such method': (status, errcode) => status === 405 && errcode === 'M_UNRECOGNIZED',
};

/** One line about what is wrong; undefined: nothing. */
async function judge(request: BadRequest): Promise<string | undefined> {
  const what = `${request.method} ${urlOf(request).slice(0, 300)} (${request.fault}, token ${request.token})`;
  let answer: RawAnswer;
  try {
    answer = await send(request);
  } catch (error) {
    // The server answers before it has read all, and closes.
    if (request.padding !== null && /EPIPE|ECONNRESET/.test(String(error))) return undefined;
    return `${what}: ${error}`;
  }
  const fault = faultOf(answer);
  const { errcode } = fault === undefined ? JSON.parse(answer.text) : { errcode: undefined };
  if (fault === undefined && meets[request.expected](answer.status, errcode)) return undefined;
  const sent = String(bodyOf(request)).slice(0, 300);
  return `${what} ${sent}: ${fault ?? `expected ${request.expected}`}, got ${answer.status} ${answer.text.slice(0, 200)}`;
}

const atOnce = 24;
const pageSize = 1_000;

async function listFailures(count: number, seed: number): Promise<string[]> {
  const failures: string[] = [];
  for (let page = 0; page * pageSize < count && failures.length === 0; page += 1) {
    const requests = fc.sample(badRequest, { numRuns: Math.min(pageSize, count - page * pageSize), seed: seed + page });
    const worker = async (): Promise<void> => {
      for (let request = requests.pop(); request; request = requests.pop()) {
        const failure = await judge(request);
        if (failure !== undefined) failures.push(failure);
      }
    };
    await Promise.all(Array.from({ length: atOnce }, worker));
  }
  return failures;
}

describe('the table of endpoints', () => {
  const isChecked = (path: string): boolean => /^\/(_matrix|_synapse|\.well-known)\//.test(path);
  const rows = new Map(
    endpoints.map((endpoint): [string, Endpoint] => [
      `${endpoint.call.slice(0, endpoint.call.indexOf(' '))} ${pathOf(endpoint).replace(/\{\w+\}/g, '{}')}`,
      endpoint,
    ]),
  );
  const routes = server.running.lantern.http.routes.flatMap((route) => {
    const [path = ''] = typeof route.path === 'string' ? [route.path] : route.path;
    return isChecked(path) ? [{ route, name: `${route.method} ${path.replace(/:\w+/g, '{}')}` }] : [];
  });

  it('has a row for each route, and a route for each row', () => {
    expect([...rows.keys()].sort()).toEqual(routes.map(({ name }) => name).sort());
    expect(rows.size).toBe(endpoints.length);
  });

  it('says of each route who may call it and whether it takes a body', () => {
    const by = { open: 'anybody', user: 'user', server: 'server' } as const;
    for (const { route, name } of routes) {
      expect([name, rows.get(name)?.by, rows.get(name)?.body !== undefined]).toEqual([
        name,
        by[route.access],
        route.body !== undefined,
      ]);
    }
  });

  it('names the fields of bodies and queries as the routes do', () => {
    for (const { route, name } of routes) {
      const row = rows.get(name);
      for (const part of ['body', 'query'] as const) {
        const shape: unknown = Reflect.get(route[part] ?? {}, 'shape');
        const facts = row?.[part];
        if (typeof shape !== 'object' || shape === null || facts === 'opaque') continue;
        // A list asked of another server is not asked for here.
        const names = Object.keys(shape).filter((field) => field !== 'server');
        expect([name, part, ...names.sort()]).toEqual([name, part, ...Object.keys(facts ?? {}).sort()]);
      }
    }
  });
});

/** A busy machine takes its time over so many. */
const timeoutMs = 300_000;

describe('no request', () => {
  it(
    'breaks the server, and each is answered in the form of the specification',
    async () => {
      const count = propertyRuns(2_500);
      // The same every time in the gate; others elsewhere.
      const seed = Number(process.env.PROPERTY_SEED ?? Date.now() % 1_000_000_000);
      expect({ seed, failures: (await listFailures(count, seed)).slice(0, 20) }).toEqual({ seed, failures: [] });
      const path = `/rooms/${encode(roomId)}/send/m.room.message/last`;
      expect((await alice.call('PUT', path, { body: 'x' })).status).toBe(200);
    },
    propertyRuns(timeoutMs),
  );
});

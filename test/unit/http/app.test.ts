import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { canonicalJson } from '../../../src/base/json/canonical-json.ts';
import { createLog } from '../../../src/base/log.ts';
import { systemRandom } from '../../../src/base/random.ts';
import { createHttpApp, type HttpApp, type HttpAppDeps } from '../../../src/http/app.ts';
import { type Listening, listen } from '../../../src/http/listen.ts';
import type { SignedRequest } from '../../../src/http/middleware/access.ts';
import { openRoute, Reply, type Requester, type Route, serverRoute, userRoute } from '../../../src/http/route.ts';
import { jsonObject, queryInteger, roomId } from '../../../src/http/shapes.ts';
import { forbidden, limitExceeded, unauthorized } from '../../../src/matrix/errors.ts';
import type { DeviceId, UserId } from '../../../src/matrix/ids.ts';
import type { ServerName } from '../../../src/matrix/server-name.ts';
import { ManualClock, settle } from '../../support/manual-clock.ts';

const alice: Requester = { userId: '@alice:a.test' as UserId, deviceId: 'PHONE' as DeviceId };

let app: HttpApp;
let listening: Listening;
let clock: ManualClock;
let logged: string[];
let active: string[];
let seen: string[];
let verified: SignedRequest[];
let release: () => void;
let entered: number;
let aborted: number;

function routes(): Route[] {
  const hold = new Promise<void>((resolve) => {
    release = resolve;
  });
  return [
    openRoute({
      method: 'GET',
      path: ['/_matrix/client/v3/open', '/_matrix/client/r0/open'],
      handle: async () => ({}),
    }),
    openRoute({ method: 'POST', path: '/_matrix/client/v3/open', body: jsonObject, handle: async ({ body }) => body }),
    openRoute({ method: 'GET', path: '/_matrix/client/versions', handle: async () => ({ versions: [] }) }),
    openRoute({
      method: 'PUT',
      path: '/_matrix/client/v3/shaped/:roomId/:key',
      params: z.object({ roomId, key: z.string() }),
      query: z.object({ limit: queryInteger(1, 10).optional(), dir: z.enum(['b', 'f']) }),
      body: z.object({ name: z.string(), inner: z.object({ count: z.int() }).optional() }),
      handle: async ({ params, query, body }) => ({ params, query, body }),
    }),
    openRoute({
      method: 'GET',
      path: '/_matrix/client/v3/fails/:how',
      params: z.object({ how: z.string() }),
      handle: async ({ params }) => {
        if (params.how === 'forbidden') throw forbidden('No');
        if (params.how === 'limited') throw limitExceeded(1500);
        if (params.how === 'reply') return new Reply(202, '{"raw":1}', { 'X-Extra': 'yes' });
        throw new Error('the secret of the database');
      },
    }),
    userRoute({ method: 'GET', path: '/_matrix/client/v3/mine', handle: async ({ requester }) => requester }),
    userRoute({
      method: 'POST',
      path: '/_matrix/client/v3/mine',
      activity: true,
      body: jsonObject,
      handle: async () => ({}),
    }),
    userRoute({
      method: 'GET',
      path: '/_matrix/client/v3/held',
      handle: async ({ signal }) => {
        entered += 1;
        signal.addEventListener('abort', () => {
          aborted += 1;
        });
        await Promise.race([hold, new Promise((resolve) => signal.addEventListener('abort', resolve))]);
        return { held: true };
      },
    }),
    serverRoute({
      method: 'PUT',
      path: '/_matrix/federation/v1/send/:txnId',
      params: z.object({ txnId: z.string() }),
      body: jsonObject,
      handle: async ({ origin, text, body }) => ({ origin, text, body }),
    }),
    serverRoute({
      method: 'GET',
      path: '/_matrix/federation/v1/event/:id',
      handle: async ({ origin }) => ({ origin }),
    }),
  ];
}

async function start(extra: Partial<HttpAppDeps> = {}): Promise<void> {
  await listening?.stop();
  app = createHttpApp({
    routes: routes(),
    listener: 'both',
    authenticate: async (token) => (token === 'good' ? alice : undefined),
    verifyServer: async (request) => {
      verified.push(request);
      if (request.authorization[0] !== 'X-Matrix good') throw unauthorized('bad signature');
      return 'b.test' as ServerName;
    },
    onActivity: (requester) => active.push(requester.userId),
    onSeen: (requester, ip) => seen.push(`${requester.deviceId} ${ip}`),
    clock,
    random: systemRandom,
    log: createLog({ level: 'debug', format: 'json', write: (line) => logged.push(line) }),
    ...extra,
  });
  listening = await listen({ address: '127.0.0.1', port: 0, listener: app.listener });
}

beforeEach(async () => {
  clock = new ManualClock();
  logged = [];
  active = [];
  seen = [];
  verified = [];
  entered = 0;
  aborted = 0;
  await start();
});
afterEach(async () => {
  release();
  await listening.stop();
});

interface Answer {
  status: number;
  headers: Headers;
  body: Record<string, unknown>;
}

async function call(
  method: string,
  path: string,
  body?: string | Uint8Array,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const response = await fetch(`${listening.url}${path}`, {
    method,
    headers,
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : Buffer.from(body) }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text === '' ? {} : JSON.parse(text) };
}

const bearer = { authorization: 'Bearer good' };
const open = '/_matrix/client/v3/open';

describe('an answer', () => {
  it.each([
    ['of a route', 'GET', open, 200],
    ['to an unknown path', 'GET', '/_matrix/client/v3/nowhere', 404],
    ['to a wrong method', 'DELETE', open, 405],
    ['to a missing token', 'GET', '/_matrix/client/v3/mine', 401],
    ['to a bug', 'GET', '/_matrix/client/v3/fails/bug', 500],
    ['to bad percent-encoding', 'GET', '/_matrix/client/v3/%zz', 400],
  ])('%s carries CORS headers, a request id and a plain JSON type', async (_, method, path, status) => {
    const answer = await call(method, path);
    expect(answer.status).toBe(status);
    expect(answer.headers.get('access-control-allow-origin')).toBe('*');
    expect(answer.headers.get('access-control-expose-headers')).toContain('Retry-After');
    expect(answer.headers.get('access-control-allow-methods')).toContain('PUT');
    expect(answer.headers.get('access-control-allow-headers')).toContain('Authorization');
    expect(answer.headers.get('content-type')).toBe('application/json');
    expect(answer.headers.get('x-request-id')).toMatch(/^[A-Za-z0-9]{12}$/);
  });

  it('to OPTIONS is 204 with CORS headers, whatever the path', async () => {
    for (const path of [open, '/_matrix/client/v3/mine', '/nowhere']) {
      const answer = await call('OPTIONS', path);
      expect(answer.status).toBe(204);
      expect(answer.headers.get('access-control-allow-origin')).toBe('*');
    }
  });

  it('to HEAD has the headers of GET and no body', async () => {
    const answer = await call('HEAD', open);
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({});
  });

  it('has the request id of its log lines, and no id that the caller chose', async () => {
    const answer = await call('GET', `${open}?access_token=verysecret`, undefined, { 'x-request-id': 'forged' });
    await settle();
    const id = answer.headers.get('x-request-id');
    expect(id).not.toBe('forged');
    expect(logged.some((line) => line.includes(`"request":"${id}"`) && line.includes('"status":200'))).toBe(true);
    expect(logged.join('')).not.toContain('verysecret');
  });

  it('may have a status, ready text and headers of its own', async () => {
    const answer = await call('GET', '/_matrix/client/v3/fails/reply');
    expect([answer.status, answer.body, answer.headers.get('x-extra')]).toEqual([202, { raw: 1 }, 'yes']);
  });
});

describe('routing', () => {
  it.each([
    ['GET', '/', 404],
    ['GET', '/_matrix/client', 404],
    ['GET', '/_matrix/client/v3/open/', 404],
    ['GET', '/_matrix/client/V3/open', 404],
    ['GET', '/_matrix/client/v3/open/more', 404],
    ['GET', '/_matrix/client/v3/shaped/x', 404],
    ['PUT', '/_matrix/client/versions', 405],
    ['PATCH', '/_matrix/client/versions', 405],
    ['DELETE', '/_matrix/client/v3/shaped/!r:a.test/k', 405],
  ])('%s %s answers %i M_UNRECOGNIZED', async (method, path, status) => {
    const answer = await call(method, path);
    expect([answer.status, answer.body.errcode]).toEqual([status, 'M_UNRECOGNIZED']);
    if (status === 405) expect(answer.headers.get('allow')).toMatch(/GET|PUT/);
  });

  it('knows a route under each of its prefixes', async () => {
    expect((await call('GET', open)).status).toBe(200);
    expect((await call('GET', '/_matrix/client/r0/open')).status).toBe(200);
  });

  it('decodes path parameters once, slashes in them included', async () => {
    const answer = await call('PUT', '/_matrix/client/v3/shaped/!r%3Aa.test/a%2Fb%2525?dir=b', '{"name":"x"}');
    expect(answer.body.params).toEqual({ roomId: '!r:a.test', key: 'a/b%25' });
  });

  it('offers each listener its own paths only', async () => {
    await start({ listener: 'client' });
    expect((await call('GET', open)).status).toBe(200);
    expect((await call('GET', '/_matrix/federation/v1/event/x')).status).toBe(404);
    await start({ listener: 'federation' });
    expect((await call('GET', open)).status).toBe(404);
    expect((await call('GET', '/_matrix/federation/v1/event/x')).status).toBe(401);
  });

  it('refuses two routes for one method and path at the start', () => {
    const twice = openRoute({ method: 'GET', path: '/a/:x', handle: async () => ({}) });
    const again = openRoute({ method: 'GET', path: '/a/:y', handle: async () => ({}) });
    expect(() =>
      createHttpApp({
        routes: [twice, again],
        listener: 'both',
        authenticate: async () => undefined,
        verifyServer: async () => 'b.test' as ServerName,
        clock,
        random: systemRandom,
        log: createLog({ level: 'silent', format: 'json' }),
      }),
    ).toThrow('two routes');
  });
});

/** What comes back to raw bytes until the server ends the connection. */
function exchange(text: string): Promise<string> {
  return new Promise((resolve) => {
    let received = '';
    const socket = connect(listening.port, '127.0.0.1', () => socket.write(text));
    socket.on('data', (chunk) => {
      received += chunk.toString();
    });
    socket.on('close', () => resolve(received));
  });
}

describe('a request target', () => {
  const get = (target: string): Promise<string> =>
    exchange(`GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);

  it('may be absolute', async () => {
    expect(await get('http://a.test/_matrix/client/versions')).toMatch(/^HTTP\/1.1 200/);
    expect(await get(`HTTPS://a.test:8448${open}?a=b`)).toMatch(/^HTTP\/1.1 200/);
  });

  it.each(['http://[/', 'http://a:b:c/', '//', '/\u00e9', '/#', 'http://a.test'])(
    'such as %s is unknown, and no bug',
    async (target) => {
      expect(await get(target)).toMatch(/^HTTP\/1.1 40[04]/);
      expect(logged.join('')).not.toContain('"level":50');
    },
  );
});

describe('a body', () => {
  const deep = (levels: number): string => `{"a":${'['.repeat(levels)}${']'.repeat(levels)}}`;
  it.each<[string, string | Uint8Array, number, string]>([
    ['malformed', '{"a":', 400, 'M_NOT_JSON'],
    ['NaN', '{"a":NaN}', 400, 'M_NOT_JSON'],
    ['invalid UTF-8', Uint8Array.of(0x7b, 0x22, 0x81, 0x22, 0x3a, 0x31, 0x7d), 400, 'M_NOT_JSON'],
    ['a string', '"text"', 400, 'M_BAD_JSON'],
    ['a list', '[]', 400, 'M_BAD_JSON'],
    ['null', 'null', 400, 'M_BAD_JSON'],
    ['a lone surrogate', '{"a":"\\ud800"}', 400, 'M_BAD_JSON'],
    ['a lone surrogate in a key', '{"\\udfff":1}', 400, 'M_BAD_JSON'],
    ['nesting of 100,000', deep(100_000 / 8), 400, 'M_BAD_JSON'],
    ['nesting one too deep', deep(100), 400, 'M_BAD_JSON'],
    ['2^53', '{"a":9007199254740992}', 400, 'M_BAD_JSON'],
    ['-2^53', '{"a":[-9007199254740992]}', 400, 'M_BAD_JSON'],
    ['1e400', '{"a":1e400}', 400, 'M_BAD_JSON'],
    ['64 KiB and more', `{"a":"${'x'.repeat(64 * 1024)}"}`, 413, 'M_TOO_LARGE'],
  ])('with %s is refused', async (_, body, status, errcode) => {
    const answer = await call('POST', open, body);
    expect([answer.status, answer.body.errcode]).toEqual([status, errcode]);
  });

  it.each([
    ['empty', '', {}],
    ['2^53 - 1', '{"a":9007199254740991}', { a: 9007199254740991 }],
    ['a fraction', '{"a":0.25}', { a: 0.25 }],
    ['a surrogate pair', '{"a":"\\ud83d\\ude00"}', { a: '😀' }],
    ['the deepest nesting', deep(99), JSON.parse(deep(99))],
  ])('with %s passes', async (_, body, expected) => {
    const answer = await call('POST', open, body);
    expect([answer.status, answer.body]).toEqual([200, expected]);
  });

  it('keeps `__proto__` as a key like any other', async () => {
    const response = await fetch(`${listening.url}${open}`, { method: 'POST', body: '{"__proto__":{"a":1},"b":2}' });
    expect(await response.text()).toBe('{"__proto__":{"a":1},"b":2}');
  });

  it('without a length is refused where it grows too long', async () => {
    const status = await new Promise((resolve, reject) => {
      const request = httpRequest(`${listening.url}${open}`, { method: 'POST' }, (response) => {
        response.resume();
        resolve(response.statusCode);
      });
      request.on('error', reject);
      request.write('{"a":"');
      for (let i = 0; i < 9; i += 1) request.write('x'.repeat(8192));
      request.end('"}');
    });
    expect(status).toBe(413);
  });

  it('that does not arrive in time is answered 408, and the connection ends', async () => {
    const answer = exchange(`POST ${open} HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{"a"`);
    while (app.running === 0) await settle(1);
    await clock.advance(29_999);
    expect(app.running).toBe(1);
    await clock.advance(1);
    const text = await answer;
    expect(text).toContain('HTTP/1.1 408');
    expect(text).toContain('Access-Control-Allow-Origin: *');
  });
});

describe('a caller who goes away in the middle of a body', () => {
  it('is no bug and leaves nothing behind', async () => {
    const socket = connect(listening.port, '127.0.0.1', () => {
      socket.write(`POST ${open} HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{"a"`);
    });
    while (app.running === 0) await settle(1);
    expect(clock.pendingCount).toBe(1);
    socket.destroy();
    while (app.running > 0) await settle(1);
    await settle();
    expect(clock.pendingCount).toBe(0);
    expect(logged.join('')).toContain('"status":499');
    expect(logged.join('')).not.toContain('"level":50');
  });
});

describe('shapes', () => {
  const path = '/_matrix/client/v3/shaped/!r:a.test/k';
  it.each<[string, string, string, string, string]>([
    ['an absent field', `${path}?dir=b`, '{}', 'M_MISSING_PARAM', 'name'],
    ['an absent inner field', `${path}?dir=b`, '{"name":"x","inner":{}}', 'M_MISSING_PARAM', 'inner.count'],
    ['a field of the wrong type', `${path}?dir=b`, '{"name":1}', 'M_BAD_JSON', 'name'],
    ['a field that is null', `${path}?dir=b`, '{"name":null}', 'M_BAD_JSON', 'name'],
    ['a wrong query', `${path}?dir=up`, '{"name":"x"}', 'M_INVALID_PARAM', 'dir'],
    ['an absent query', path, '{"name":"x"}', 'M_MISSING_PARAM', 'dir'],
    ['a query that is no number', `${path}?dir=b&limit=ten`, '{"name":"x"}', 'M_INVALID_PARAM', 'limit'],
    ['a number out of range', `${path}?dir=b&limit=11`, '{"name":"x"}', 'M_INVALID_PARAM', 'limit'],
    ['a repeated query', `${path}?dir=b&dir=f`, '{"name":"x"}', 'M_INVALID_PARAM', 'dir'],
    ['a wrong path parameter', '/_matrix/client/v3/shaped/room/k?dir=b', '{"name":"x"}', 'M_INVALID_PARAM', 'roomId'],
  ])('refuse %s and name it', async (_, where, body, errcode, field) => {
    const answer = await call('PUT', where, body);
    expect([answer.status, answer.body.errcode]).toEqual([400, errcode]);
    expect(answer.body.error).toContain(`'${field}'`);
  });

  it('let unknown fields and parameters pass', async () => {
    const answer = await call('PUT', `${path}?dir=b&limit=3&what=ever`, '{"name":"x","more":[]}');
    expect([answer.status, answer.body.query]).toEqual([200, { dir: 'b', limit: 3 }]);
  });

  it.each([
    '/_matrix/client/v3/%',
    '/_matrix/client/v3/%E0%A4%A',
    '/_matrix/client/v3/open/%ff',
    `${open}?a=%`,
    `${open}?a=%C3%28`,
  ])('bad percent-encoding in %s answers M_INVALID_PARAM', async (where) => {
    const answer = await call('GET', where);
    expect([answer.status, answer.body.errcode]).toEqual([400, 'M_INVALID_PARAM']);
  });
});

describe('errors', () => {
  it('of the caller answer with their own status and body', async () => {
    const answer = await call('GET', '/_matrix/client/v3/fails/forbidden');
    expect([answer.status, answer.body]).toEqual([403, { errcode: 'M_FORBIDDEN', error: 'No' }]);
  });

  it('that say when to come back say so in a header too', async () => {
    const answer = await call('GET', '/_matrix/client/v3/fails/limited');
    expect([answer.status, answer.body.retry_after_ms, answer.headers.get('retry-after')]).toEqual([429, 1500, '2']);
  });

  it('of ours answer 500 without a word, and are logged', async () => {
    const answer = await call('GET', '/_matrix/client/v3/fails/bug');
    expect([answer.status, answer.body]).toEqual([500, { errcode: 'M_UNKNOWN', error: 'Internal server error' }]);
    expect(logged.join('')).toContain('the secret of the database');
  });

  it('of HTTP itself are answered in JSON', async () => {
    const text = await exchange('NONSENSE\r\n\r\n');
    expect(text).toMatch(/^HTTP\/1.1 400/);
    expect(text).toContain('"errcode":"M_UNKNOWN"');
  });
});

describe('access tokens', () => {
  const mine = '/_matrix/client/v3/mine';
  it.each<[string, string, Record<string, string>, number, string | undefined]>([
    ['in the header', mine, { authorization: 'Bearer good' }, 200, undefined],
    ['in the query', `${mine}?access_token=good`, {}, 200, undefined],
    ['that is absent', mine, {}, 401, 'M_MISSING_TOKEN'],
    ['that is empty', `${mine}?access_token=`, {}, 401, 'M_MISSING_TOKEN'],
    ['in another scheme', mine, { authorization: 'Basic good' }, 401, 'M_MISSING_TOKEN'],
    ['that is unknown', mine, { authorization: 'Bearer bad' }, 401, 'M_UNKNOWN_TOKEN'],
  ])('%s', async (_, path, headers, status, errcode) => {
    const answer = await call('GET', path, undefined, headers);
    expect([answer.status, answer.body.errcode]).toEqual([status, errcode]);
    if (errcode === 'M_UNKNOWN_TOKEN') expect(answer.body.soft_logout).toBe(false);
  });

  it('are asked for before the body is looked at', async () => {
    expect((await call('POST', mine, '{"a":')).body.errcode).toBe('M_MISSING_TOKEN');
  });

  it('let only the routes that say so count as activity, and only well-formed calls', async () => {
    await call('GET', mine, undefined, bearer);
    await call('POST', mine, '[', bearer);
    expect(active).toEqual([]);
    await call('POST', mine, '{}', bearer);
    expect(active).toEqual(['@alice:a.test']);
    expect(seen).toEqual(['PHONE 127.0.0.1', 'PHONE 127.0.0.1', 'PHONE 127.0.0.1']);
  });

  it('show the address that a trusted proxy names, and none that a caller claims', async () => {
    await call('GET', mine, undefined, { ...bearer, 'x-forwarded-for': '10.1.1.1' });
    await start({ trustProxy: true });
    await call('GET', mine, undefined, { ...bearer, 'x-forwarded-for': '10.9.9.9, 10.1.1.1' });
    expect(seen).toEqual(['PHONE 127.0.0.1', 'PHONE 10.1.1.1']);
  });
});

describe('a server route', () => {
  const send = '/_matrix/federation/v1/send/t%2F1?a=%20b';
  it('gives the verifier what was signed, and the handler the raw text', async () => {
    const answer = await call('PUT', send, '{"a": 1.0}', { authorization: 'X-Matrix good' });
    expect(answer.body).toEqual({ origin: 'b.test', text: '{"a": 1.0}', body: { a: 1 } });
    expect(verified).toMatchObject([{ method: 'PUT', uri: send, authorization: ['X-Matrix good'] }]);
    // The signature covers the number as it was written.
    expect(canonicalJson(verified[0]?.content)).toBe('{"a":1.0}');
  });

  it('without a body is verified without one', async () => {
    await call('GET', '/_matrix/federation/v1/event/x', undefined, { authorization: 'X-Matrix good' });
    expect(verified[0]?.content).toBeUndefined();
  });

  it('refuses an unsigned request without asking, and a badly signed one', async () => {
    expect((await call('PUT', send, '{}')).body.errcode).toBe('M_UNAUTHORIZED');
    expect(verified).toEqual([]);
    expect((await call('PUT', send, '{}', { authorization: 'X-Matrix bad' })).status).toBe(401);
  });

  it('leaves numbers out of range to whoever judges the events', async () => {
    const answer = await call('PUT', send, '{"a":9007199254740992}', { authorization: 'X-Matrix good' });
    expect(answer.status).toBe(200);
  });

  it('refuses malformed bodies', async () => {
    const answer = await call('PUT', send, '{', { authorization: 'X-Matrix good' });
    expect([answer.status, answer.body.errcode]).toEqual([400, 'M_NOT_JSON']);
  });
});

describe('running requests', () => {
  const held = '/_matrix/client/v3/held';
  const waitFor = async (condition: () => boolean): Promise<void> => {
    while (!condition()) await settle(1);
  };

  it('of one user are bounded', async () => {
    await start({ limits: { concurrentPerCallerMax: 1 } });
    const first = call('GET', held, undefined, bearer);
    await waitFor(() => entered === 1);
    expect((await call('GET', held, undefined, bearer)).body.errcode).toBe('M_LIMIT_EXCEEDED');
    release();
    expect((await first).status).toBe(200);
    expect((await call('GET', held, undefined, bearer)).status).toBe(200);
  });

  it('in all are bounded', async () => {
    await start({ limits: { concurrentMax: 1 } });
    const first = call('GET', held, undefined, bearer);
    await waitFor(() => entered === 1);
    expect((await call('GET', open)).status).toBe(503);
    release();
    expect((await first).status).toBe(200);
    expect((await call('GET', open)).status).toBe(200);
  });

  it('are aborted when the caller goes away', async () => {
    const controller = new AbortController();
    const answer = fetch(`${listening.url}${held}`, { headers: bearer, signal: controller.signal }).catch(() => 'gone');
    await waitFor(() => entered === 1);
    controller.abort();
    expect(await answer).toBe('gone');
    await waitFor(() => aborted === 1 && app.running === 0);
    expect(logged.join('')).not.toContain('"level":50');
  });

  it('may finish when the server stops', async () => {
    const answer = call('GET', held, undefined, bearer);
    await waitFor(() => entered === 1);
    listening.close();
    const stopped = app.stop();
    release();
    expect((await answer).body).toEqual({ held: true });
    await stopped;
    await expect(call('GET', open)).rejects.toThrow();
  });

  it('that take too long for a stop are aborted, and then no longer waited for', async () => {
    const answer = call('GET', held, undefined, bearer);
    await waitFor(() => entered === 1);
    listening.close();
    let over = false;
    const stopped = app.stop().then(() => {
      over = true;
    });
    await clock.advance(1_999);
    expect([aborted, over]).toEqual([0, false]);
    await clock.advance(1);
    expect(aborted).toBe(1);
    expect((await answer).status).toBe(200);
    await stopped;
  });
});

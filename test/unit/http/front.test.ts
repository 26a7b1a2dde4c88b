import { request as httpRequest } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { joinLong } from '../../../src/base/json/long-text.ts';
import { createLog } from '../../../src/base/log.ts';
import { systemRandom } from '../../../src/base/random.ts';
import { createHttpApp, type HttpApp } from '../../../src/http/app.ts';
import { type Listening, listen } from '../../../src/http/listen.ts';
import { Reply, type Requester, type Route, userRoute } from '../../../src/http/route.ts';
import { queryInteger } from '../../../src/http/shapes.ts';
import { forbidden, limitExceeded } from '../../../src/matrix/errors.ts';
import type { DeviceId, UserId } from '../../../src/matrix/ids.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const alice: Requester = { userId: '@alice:a.test' as UserId, deviceId: 'PHONE' as DeviceId };

/** The same route twice: one that waits goes past Koa, one that does not goes through it. */
const ways = ['past', 'through'] as const;
type Way = (typeof ways)[number];
/** More than a socket takes at once. */
const long = Array.from({ length: 400_000 }, (_, n) => `"é${n}"`);

let app: HttpApp;
let listening: Listening;
let release: () => void;
let running: number;
let aborted: number;
let logged: string[];

function routes(): Route[] {
  const hold = new Promise<void>((resolve) => {
    release = resolve;
  });
  return ways.map((way) =>
    userRoute({
      method: 'GET',
      path: [`/_matrix/client/v3/${way}`, `/_matrix/client/r0/${way}`],
      waits: way === 'past',
      query: z.object({ what: z.string().optional(), limit: queryInteger(1, 10).optional() }),
      handle: async ({ query, requester, ip, userAgent, signal }) => {
        if (query.what === 'forbidden') throw forbidden('No');
        if (query.what === 'limited') throw limitExceeded(1_500);
        if (query.what === 'reply') return new Reply(202, '{"raw":"é"}', { 'X-Extra': 'yes' });
        if (query.what === 'long') return joinLong('[', long, ']');
        if (query.what === 'bug') throw new Error('the secret of the database');
        if (query.what === 'hold') {
          running += 1;
          signal.addEventListener('abort', () => {
            aborted += 1;
          });
          await Promise.race([hold, new Promise((resolve) => signal.addEventListener('abort', resolve))]);
        }
        return { query, requester, ip, userAgent };
      },
    }),
  );
}

async function start(trustProxy = false): Promise<void> {
  await listening?.stop();
  app = createHttpApp({
    routes: routes(),
    listener: 'both',
    authenticate: async (token) => (token === 'good' ? alice : undefined),
    verifyServer: () => Promise.reject(new Error('no server calls here')),
    clock: new ManualClock(),
    random: systemRandom,
    log: createLog({ level: 'debug', format: 'json', write: (line) => logged.push(line) }),
    limits: { concurrentPerCallerMax: 2 },
    trustProxy,
  });
  listening = await listen({ address: '127.0.0.1', port: 0, listener: app.listener });
}

beforeEach(async () => {
  running = 0;
  aborted = 0;
  logged = [];
  await start();
});
afterEach(async () => {
  release();
  await listening.stop();
});

interface Raw {
  readonly status: number;
  readonly headers: Record<string, unknown>;
  readonly text: string;
}

interface Asked {
  readonly method?: string;
  readonly path?: string;
  readonly query?: string;
  readonly headers?: Record<string, string>;
}

/** A request written as it is, and all of its answer but what is different each time. */
function ask(way: Way, { method = 'GET', path, query = '', headers = { authorization: 'Bearer good' } }: Asked = {}) {
  const target = (path ?? '/_matrix/client/v3/WAY').replace('WAY', way) + query;
  return new Promise<Raw>((resolve, reject) => {
    const call = httpRequest(
      { host: '127.0.0.1', port: new URL(listening.url).port, method, path: target, headers, agent: false },
      (answer) => {
        let text = '';
        answer.setEncoding('utf8');
        answer.on('data', (part) => {
          text += part;
        });
        answer.on('end', () => {
          const { date: _date, 'x-request-id': id, ...rest } = answer.headers;
          resolve({ status: answer.statusCode ?? 0, headers: { ...rest, hasId: /^\w{12}$/.test(String(id)) }, text });
        });
      },
    );
    call.on('error', reject);
    call.end();
  });
}

describe('a long-poll, which goes past Koa', () => {
  const bearer = { authorization: 'Bearer good' };
  const asked: [string, Asked, number][] = [
    ['that is good', { query: '?limit=3' }, 200],
    ['under r0', { path: '/_matrix/client/r0/WAY' }, 200],
    ['with the token in the query', { query: '?access_token=good', headers: {} }, 200],
    ['with an empty query', { query: '?' }, 200],
    ['with a user agent', { headers: { ...bearer, 'user-agent': 'Test 1' } }, 200],
    ['in absolute form', { path: 'http://elsewhere/_matrix/client/v3/WAY' }, 200],
    ['without a token', { headers: {} }, 401],
    ['with a foreign token', { headers: { authorization: 'Bearer bad' } }, 401],
    ['with a query of another shape', { query: '?limit=eleven' }, 400],
    ['with a parameter twice', { query: '?limit=1&limit=2' }, 400],
    ['with broken percent-encoding', { query: '?what=%zz' }, 400],
    ['that is refused', { query: '?what=forbidden' }, 403],
    ['that is too much', { query: '?what=limited' }, 429],
    ['with an answer of its own', { query: '?what=reply' }, 202],
    ['with a long answer', { query: '?what=long' }, 200],
    ['with a long answer, for the head only', { method: 'HEAD', query: '?what=long' }, 200],
    ['that meets a bug', { query: '?what=bug' }, 500],
    ['by another method', { method: 'POST' }, 405],
    ['by a browser that asks first', { method: 'OPTIONS', headers: {} }, 204],
    ['for the head only', { method: 'HEAD' }, 200],
    ['at a path with a slash behind it', { path: '/_matrix/client/v3/WAY/' }, 404],
    ['claiming an address', { headers: { ...bearer, 'x-forwarded-for': '192.0.2.1' } }, 200],
  ];

  it.each(asked)('%s is answered as everything else is', async (_name, what, status) => {
    const past = await ask('past', what);
    expect(past.status).toBe(status);
    expect(past).toEqual(await ask('through', what));
    expect(past.headers.hasId).toBe(true);
    expect(past.headers['access-control-allow-origin']).toBe('*');
  });

  it.each(ways)('behind a proxy comes from whom the proxy names: %s', async (way) => {
    await start(true);
    const headers = { ...bearer, 'x-forwarded-for': '192.0.2.1, 192.0.2.2' };
    expect(JSON.parse((await ask(way, { headers })).text).ip).toBe('192.0.2.2');
    expect(JSON.parse((await ask(way)).text).ip).toBe('127.0.0.1');
  });

  it.each(ways)('is one of those that the caller may have running at once: %s', async (way) => {
    const held = [ask(way, { query: '?what=hold' }), ask(way, { query: '?what=hold' })];
    await expect.poll(() => running).toBe(2);
    expect(await ask(way)).toMatchObject({ status: 429 });
    release();
    expect((await Promise.all(held)).map(({ status }) => status)).toEqual([200, 200]);
  });

  it.each(ways)('gets all of a long answer, of the length that was announced: %s', async (way) => {
    const { headers, text } = await ask(way, { query: '?what=long' });
    expect(headers['content-length']).toBe(String(Buffer.byteLength(text)));
    expect(JSON.parse(text)).toHaveLength(long.length);
  });

  it.each(ways)('runs no more when the caller of a long answer goes away in the middle of it: %s', async (way) => {
    const call = httpRequest(`${listening.url}/_matrix/client/v3/${way}?what=long`, { headers: bearer });
    call.on('error', () => {});
    const begun = new Promise<void>((resolve) => call.on('response', (answer) => answer.once('data', () => resolve())));
    call.end();
    await begun;
    expect(app.running).toBe(1);
    call.destroy();
    await expect.poll(() => app.running).toBe(0);
    expect((await ask(way)).status).toBe(200);
  });

  it.each(ways)('ends when the caller goes away: %s', async (way) => {
    const call = httpRequest(`${listening.url}/_matrix/client/v3/${way}?what=hold`, { headers: bearer });
    call.on('error', () => {});
    call.end();
    await expect.poll(() => running).toBe(1);
    call.destroy();
    await expect.poll(() => aborted).toBe(1);
    await expect.poll(() => app.running).toBe(0);
  });

  it.each(ways)('says nothing of a bug, and logs it with the id of the request: %s', async (way) => {
    expect((await ask(way, { query: '?what=bug' })).text).not.toContain('secret');
    expect(logged.some((line) => line.includes('the secret of the database') && line.includes('"request":'))).toBe(
      true,
    );
  });
});

import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { silentLog } from '../../src/base/log.ts';
import { systemRandom } from '../../src/base/random.ts';
import { createHttpApp } from '../../src/http/app.ts';
import { syncRoutes } from '../../src/http/client/sync.ts';
import { type Listening, listen } from '../../src/http/listen.ts';
import { invalidParam, unauthorized, unknownToken } from '../../src/matrix/errors.ts';
import type { DeviceId, UserId } from '../../src/matrix/ids.ts';
import type { SyncRequest } from '../../src/sync/sync.ts';
import { ManualClock } from '../support/manual-clock.ts';

/** What the route makes of a request, held against a sync that only listens. */
let listening: Listening;
let asked: SyncRequest | undefined;

beforeAll(async () => {
  const app = createHttpApp({
    routes: syncRoutes({
      sync: async (request) => {
        asked = request;
        if (request.since === 'refused') throw invalidParam('since is not a token of this server');
        return '{"next_batch":"n"}';
      },
    }),
    listener: 'client',
    authenticate: async (token) => {
      if (token !== 'good') throw unknownToken('no such token');
      return { userId: '@alice:a' as UserId, deviceId: 'D' as DeviceId };
    },
    verifyServer: async () => {
      throw unauthorized('no server expected');
    },
    clock: new ManualClock(),
    random: systemRandom,
    log: silentLog,
  });
  listening = await listen({ address: '127.0.0.1', port: 0, listener: app.listener });
});

afterAll(() => listening.stop());

beforeEach(() => {
  asked = undefined;
});

async function get(query: string, path = '/_matrix/client/v3/sync', token = 'good') {
  const response = await fetch(`${listening.url}${path}${query}`, { headers: { authorization: `Bearer ${token}` } });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

test('a request without parameters is an initial sync that waits for nothing and is online', async () => {
  const answer = await get('');
  expect([answer.status, answer.text]).toEqual([200, '{"next_batch":"n"}']);
  expect(answer.headers.get('content-type')).toMatch(/^application\/json/);
  expect(answer.headers.get('access-control-allow-origin')).toBe('*');
  expect(asked).toMatchObject({
    requester: { userId: '@alice:a', deviceId: 'D' },
    since: null,
    timeoutMs: 0,
    fullState: false,
    setPresence: 'online',
    setPresenceWritten: false,
    filter: null,
    useStateAfter: 'no',
  });
});

test('every parameter is handed on, unknown ones are ignored', async () => {
  const query = new URLSearchParams({
    since: 's1_5_e.1_',
    timeout: '30000',
    full_state: 'true',
    set_presence: 'unavailable',
    filter: '{"room":{}}',
    use_state_after: 'true',
    'org.example': 'whatever',
  });
  expect((await get(`?${query}`)).status).toBe(200);
  expect(asked).toMatchObject({
    since: 's1_5_e.1_',
    timeoutMs: 30_000,
    fullState: true,
    setPresence: 'unavailable',
    setPresenceWritten: true,
    filter: '{"room":{}}',
    useStateAfter: 'stable',
  });
});

test.each([
  ['?use_state_after=false', 'no'],
  ['?org.matrix.msc4222.use_state_after=true', 'unstable'],
  ['?org.matrix.msc4222.use_state_after=false', 'no'],
  ['?use_state_after=true&org.matrix.msc4222.use_state_after=true', 'stable'],
])('%s asks for the state after: %s', async (query, useStateAfter) => {
  expect((await get(query)).status).toBe(200);
  expect(asked).toMatchObject({ useStateAfter });
});

test('set_presence=online counts as written out', async () => {
  await get('?set_presence=online');
  expect(asked).toMatchObject({ setPresence: 'online', setPresenceWritten: true });
});

test('a wish to wait for hours is cut to five minutes', async () => {
  await get('?timeout=86400000');
  expect(asked?.timeoutMs).toBe(300_000);
});

test.each([
  ['set_presence=busy'],
  ['set_presence='],
  ['timeout=soon'],
  ['timeout=-1'],
  ['timeout=1.5'],
  ['full_state=yes'],
  ['use_state_after=1'],
  ['since=a&since=b'],
  ['since=refused'],
])('%s is refused with M_INVALID_PARAM', async (query) => {
  const { status, text } = await get(`?${query}`);
  expect([status, JSON.parse(text).errcode]).toEqual([400, 'M_INVALID_PARAM']);
});

test('the old path r0 answers too', async () => {
  expect((await get('', '/_matrix/client/r0/sync')).status).toBe(200);
});

test('a bad token is refused before anything is read', async () => {
  const { status, text } = await get('', undefined, 'bad');
  expect([status, JSON.parse(text).errcode]).toEqual([401, 'M_UNKNOWN_TOKEN']);
  expect(asked).toBeUndefined();
});

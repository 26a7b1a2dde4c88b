import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { TestServer } from '../support/server.ts';
import type { TestUser } from '../support/user.ts';
import { type Json, newUsers, refusal } from './rooms-support.ts';

let server: TestServer;
let alice: TestUser;
let bob: TestUser;

beforeAll(async () => {
  server = await TestServer.start({ config: { presence: { enabled: false } } });
});
afterAll(() => server.stop());
beforeEach(async () => {
  [alice, bob] = await newUsers(server, 'alice', 'bob');
});

const pusher = (more: Json = {}): Json => ({
  kind: 'http',
  app_id: 'org.example.app',
  pushkey: 'key',
  app_display_name: 'App',
  device_display_name: 'Phone',
  profile_tag: 'tag',
  lang: 'en',
  data: { url: 'https://push.example/_matrix/push/v1/notify', format: 'event_id_only', 'org.example.own': [1] },
  ...more,
});
const set = (user: TestUser, more: Json = {}) => user.call('POST', '/pushers/set', pusher(more));
const pushersOf = async (user: TestUser): Promise<Json[]> => (await user.ok('GET', '/pushers')).pushers;

describe('pushers', () => {
  it('are set, listed as they were set, changed and removed', async () => {
    expect(await pushersOf(alice)).toEqual([]);
    expect(await set(alice)).toEqual({ status: 200, body: {} });
    expect(await pushersOf(alice)).toEqual([pusher()]);
    await set(alice, { lang: 'de' });
    await set(alice, { pushkey: 'other', profile_tag: undefined });
    expect(await pushersOf(alice)).toEqual([
      pusher({ lang: 'de' }),
      pusher({ pushkey: 'other', profile_tag: undefined }),
    ]);
    const gone = { kind: null, app_id: 'org.example.app', pushkey: 'key' };
    for (const _ of [1, 2]) expect(await alice.ok('POST', '/pushers/set', gone)).toEqual({});
    expect((await pushersOf(alice)).map(({ pushkey }) => pushkey)).toEqual(['other']);
    expect(await pushersOf(bob)).toEqual([]);
  });

  it('belong to one user for each key, unless the client wants them beside each other', async () => {
    await set(alice);
    await set(bob, { append: true });
    expect([await pushersOf(alice), await pushersOf(bob)]).toEqual([[pusher()], [pusher()]]);
    await set(alice);
    expect([await pushersOf(alice), await pushersOf(bob)]).toEqual([[pusher()], []]);
  });

  it('of other devices end with a change of the password, the device’s own stays', async () => {
    const phone = await alice.newDevice();
    await set(phone, { pushkey: 'phone' });
    await set(alice, { pushkey: 'own' });
    const identifier = { type: 'm.id.user', user: alice.userId };
    const auth = { type: 'm.login.password', identifier, password: 'correct horse' };
    await alice.ok('POST', '/account/password', { auth, new_password: 'other' });
    expect((await pushersOf(alice)).map(({ pushkey }) => pushkey)).toEqual(['own']);
  });

  it('end with the logout of the device that set them last', async () => {
    const phone = await alice.newDevice();
    await set(alice);
    await set(phone);
    await phone.ok('POST', '/logout', {});
    expect(await pushersOf(alice)).toEqual([]);
  });

  it.each([
    ['no kind', { kind: undefined }, 'M_MISSING_PARAM'],
    ['another kind', { kind: 'email' }, 'M_INVALID_PARAM'],
    ['no application', { app_id: undefined }, 'M_MISSING_PARAM'],
    ['an application with too long a name', { app_id: 'x'.repeat(65) }, 'M_BAD_JSON'],
    ['no key', { pushkey: undefined }, 'M_MISSING_PARAM'],
    ['too long a key', { pushkey: 'é'.repeat(257) }, 'M_BAD_JSON'],
    ['no language and no data', { lang: undefined, data: undefined }, 'M_MISSING_PARAM'],
    ['no gateway', { data: {} }, 'M_MISSING_PARAM'],
    ['a gateway that is no text', { data: { url: 7 } }, 'M_INVALID_PARAM'],
    ['a gateway in the clear', { data: { url: 'http://push.example/_matrix/push/v1/notify' } }, 'M_INVALID_PARAM'],
    ['a gateway at another path', { data: { url: 'https://push.example/notify' } }, 'M_INVALID_PARAM'],
    ['a gateway that is no address', { data: { url: 'https://' } }, 'M_INVALID_PARAM'],
  ])('with %s are refused, and nothing is kept', async (_, more, errcode) => {
    expect(refusal(await set(alice, more))).toEqual([400, errcode]);
    expect(await pushersOf(alice)).toEqual([]);
  });

  it('are a hundred at most', async () => {
    for (let index = 0; index < 100; index += 1) await set(alice, { pushkey: `k${index}` });
    expect(refusal(await set(alice))).toEqual([403, 'M_RESOURCE_LIMIT_EXCEEDED']);
    expect((await set(alice, { pushkey: 'k7', lang: 'de' })).status).toBe(200);
  });
});

describe('GET /notifications', () => {
  it('answers a client that asks at its start', async () => {
    expect(await alice.ok('GET', '/notifications?limit=5&only=highlight')).toEqual({ notifications: [] });
    expect(refusal(await alice.call('GET', '/notifications?limit=x'))).toEqual([400, 'M_INVALID_PARAM']);
  });
});

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { DeviceId, UserId } from '../../src/matrix/ids.ts';
import { type AccountServer, type Answer, passwordAuth, startAccountServer } from './account-server.ts';

let server: AccountServer;
/** Fresh names for each test, on one server. */
let alice: string;
let bob: string;
let tests = 0;

beforeAll(async () => {
  server = await startAccountServer({ baseUrl: 'https://a.test/' });
});
beforeEach(() => {
  tests += 1;
  alice = `alice${tests}`;
  bob = `bob${tests}`;
});
afterAll(() => server.stop());

const login = (user: string, password = 'secret', more: object = {}): Promise<Answer> =>
  server.call('POST', '/login', {
    body: { type: 'm.login.password', identifier: { type: 'm.id.user', user }, password, ...more },
  });
const whoami = async (token: string): Promise<number> =>
  (await server.call('GET', '/account/whoami', { token })).status;

describe('GET /login', () => {
  it('offers passwords, and tokens that a signed-in device can ask for', async () => {
    expect((await server.call('GET', '/login', {})).body).toEqual({
      flows: [{ type: 'm.login.password' }, { type: 'm.login.token', get_login_token: true }],
    });
  });
});

describe('POST /login', () => {
  it('knows a user by id and by localpart, in capitals too', async () => {
    await server.register(alice);
    for (const user of [`@${alice}:a.test`, alice, `@${alice.toUpperCase()}:a.test`, `A${alice.slice(1)}`]) {
      const { status, body } = await login(user);
      expect([user, status]).toEqual([user, 200]);
      expect(body).toMatchObject({
        user_id: `@${alice}:a.test`,
        home_server: 'a.test',
        well_known: { 'm.homeserver': { base_url: 'https://a.test' } },
      });
      expect(await whoami(body.access_token)).toBe(200);
    }
  });

  it('takes the older body with `user`', async () => {
    await server.register(alice);
    const { status } = await server.call('POST', '/_matrix/client/r0/login', {
      body: { type: 'm.login.password', user: alice, password: 'secret' },
    });
    expect(status).toBe(200);
  });

  it('refuses with the same words, whatever is not right', async () => {
    await server.register(alice);
    await server.accounts.registration.createAccount(`locked${tests}`, null);
    for (const [user, password] of [
      [`@${alice}:a.test`, 'wrong'],
      [`@${alice}:a.test`, ''],
      ['@nobody:a.test', 'secret'],
      [`@${alice}:b.test`, 'secret'],
      ['al:ice', 'secret'],
      [`locked${tests}`, 'nobody'],
    ] as const) {
      const { status, body } = await login(user, password);
      expect([user, status, body]).toEqual([
        user,
        403,
        { errcode: 'M_FORBIDDEN', error: 'The user or the password is not right' },
      ]);
    }
  });

  it('refuses bodies that say too little or something else', async () => {
    const cases: [string, object, number, string][] = [
      ['no type', { user: alice, password: 'secret' }, 400, 'M_MISSING_PARAM'],
      ['no user', { type: 'm.login.password', password: 'secret' }, 400, 'M_MISSING_PARAM'],
      ['no password', { type: 'm.login.password', user: 'alice' }, 400, 'M_MISSING_PARAM'],
      ['another type', { type: 'm.login.sso', token: 'x' }, 400, 'M_UNKNOWN'],
      ['no token', { type: 'm.login.token' }, 400, 'M_MISSING_PARAM'],
      ['an invented token', { type: 'm.login.token', token: 'x' }, 403, 'M_FORBIDDEN'],
      ['a token that is no text', { type: 'm.login.token', token: 7 }, 400, 'M_BAD_JSON'],
      ['a user that is no text', { type: 'm.login.password', user: 1, password: 'x' }, 400, 'M_BAD_JSON'],
      [
        'an identifier that is no object',
        { type: 'm.login.password', identifier: [], password: 'x' },
        400,
        'M_BAD_JSON',
      ],
      [
        'an email address',
        {
          type: 'm.login.password',
          identifier: { type: 'm.id.thirdparty', medium: 'email', address: 'a@b' },
          password: 'x',
        },
        403,
        'M_FORBIDDEN',
      ],
      ['another identifier', { type: 'm.login.password', identifier: { type: 'x' }, password: 'x' }, 400, 'M_UNKNOWN'],
    ];
    for (const [name, body, status, errcode] of cases) {
      const answer = await server.call('POST', '/login', { body });
      expect([name, answer.status, answer.body.errcode]).toEqual([name, status, errcode]);
    }
  });

  it('makes the device that the client names, and keeps the name of one it knows', async () => {
    await server.register(alice);
    const first = await login(alice, 'secret', { device_id: 'PHONE', initial_device_display_name: 'Phone' });
    expect(first.body.device_id).toBe('PHONE');
    const second = await login(alice, 'secret', { device_id: 'PHONE', initial_device_display_name: 'Other' });
    const { body } = await server.call('GET', '/devices/PHONE', { token: second.body.access_token });
    expect(body.display_name).toBe('Phone');
  });

  it('refuses a device too many, and still signs in those it knows', async () => {
    const { userId } = await server.register(alice);
    await server.storage.commit({
      rows: Array.from({ length: 999 }, (_, index) => ({
        kind: 'device',
        userId: userId as UserId,
        deviceId: `D${index}` as DeviceId,
        displayName: null,
        createdAtMs: 0,
        lastSeenAtMs: null,
        lastSeenIp: null,
      })),
    });
    const refused = await login(alice);
    expect([refused.status, refused.body.errcode]).toEqual([403, 'M_RESOURCE_LIMIT_EXCEEDED']);
    expect((await login(alice, 'secret', { device_id: 'D7' })).status).toBe(200);
  });

  it('ends the older token of a device that signs in again, and of no other', async () => {
    const { token } = await server.register(alice);
    const first = (await login(alice, 'secret', { device_id: 'PHONE' })).body.access_token;
    expect(await whoami(first)).toBe(200);
    await login(alice, 'secret', { device_id: 'PHONE' });
    expect([await whoami(first), await whoami(token)]).toEqual([401, 200]);
  });
});

describe('POST /login/get_token', () => {
  const getToken = (token: string, auth?: object): Promise<Answer> =>
    server.call('POST', '/_matrix/client/v1/login/get_token', { token, body: auth === undefined ? {} : { auth } });
  const loginToken = async (token: string): Promise<string> =>
    (await getToken(token, passwordAuth(alice))).body.login_token;
  const byToken = (token: string, more: object = {}): Promise<Answer> =>
    server.call('POST', '/login', { body: { type: 'm.login.token', token, ...more } });

  it('asks for the password each time, and gives what signs another device in once', async () => {
    const { token, userId } = await server.register(alice);
    const asked = await getToken(token);
    expect([asked.status, asked.body.flows]).toEqual([401, [{ stages: ['m.login.password'] }]]);
    expect((await getToken(token, passwordAuth(alice, 'wrong'))).status).toBe(401);
    const given = await getToken(token, passwordAuth(alice));
    expect(given).toEqual({ status: 200, body: { login_token: expect.any(String), expires_in_ms: 120_000 } });
    expect((await getToken(token)).status).toBe(401);

    const signedIn = await byToken(given.body.login_token, { device_id: 'TABLET', initial_device_display_name: 'T' });
    expect(signedIn.body).toMatchObject({ user_id: userId, device_id: 'TABLET', access_token: expect.any(String) });
    expect(await whoami(signedIn.body.access_token)).toBe(200);
    const again = await byToken(given.body.login_token);
    expect([again.status, again.body.errcode]).toEqual([403, 'M_FORBIDDEN']);
    expect(await whoami(given.body.login_token)).toBe(401);
  });

  it('gives a token that ends after two minutes', async () => {
    const { token } = await server.register(alice);
    const [first, second] = [await loginToken(token), await loginToken(token)];
    await server.clock.advance(119_999);
    expect((await byToken(first)).status).toBe(200);
    await server.clock.advance(1);
    expect((await byToken(second)).status).toBe(403);
  });

  it('gives a token that ends with the device that asked for it, and with no other', async () => {
    const { token } = await server.register(alice);
    const phone = (await login(alice, 'secret', { device_id: 'PHONE' })).body.access_token;
    const [ofPhone, ofOther] = [await loginToken(phone), await loginToken(token)];
    await server.call('POST', '/logout', { token: phone });
    expect([(await byToken(ofPhone)).status, (await byToken(ofOther)).status]).toEqual([403, 200]);
  });

  it('gives a token that ends with the account', async () => {
    const { token } = await server.register(alice);
    const given = await loginToken(token);
    await server.call('POST', '/account/deactivate', { token, body: { auth: passwordAuth(alice) } });
    expect((await byToken(given)).status).toBe(403);
  });
});

describe('logout', () => {
  it('ends the device and its token, and no other', async () => {
    const { token } = await server.register(alice);
    const other = (await login(alice, 'secret', { device_id: 'PHONE' })).body.access_token;
    expect(await whoami(other)).toBe(200);
    expect((await server.call('POST', '/logout', { token: other })).body).toEqual({});
    expect(await whoami(other)).toBe(401);
    const { body } = await server.call('GET', '/devices', { token });
    expect(body.devices).toHaveLength(1);
  });

  it('of all ends all of the user, and nobody else', async () => {
    const first = await server.register(alice);
    const second = await server.register(bob);
    const other = (await login(alice)).body.access_token;
    await server.call('POST', '/logout/all', { token: first.token });
    expect([await whoami(first.token), await whoami(other), await whoami(second.token)]).toEqual([401, 401, 200]);
  });

  it('refuses an unknown and an absent token', async () => {
    const unknown = await server.call('POST', '/logout', { token: 'invalid' });
    expect([unknown.status, unknown.body.errcode, unknown.body.soft_logout]).toEqual([401, 'M_UNKNOWN_TOKEN', false]);
    const absent = await server.call('POST', '/logout');
    expect([absent.status, absent.body.errcode]).toEqual([401, 'M_MISSING_TOKEN']);
  });
});

describe('devices', () => {
  it('are listed, read and renamed', async () => {
    const { token, deviceId } = await server.register(alice);
    await login(alice, 'secret', { device_id: 'PHONE', initial_device_display_name: 'Phone' });
    const listed = (await server.call('GET', '/devices', { token })).body.devices;
    expect(listed.map((device: { device_id: string }) => device.device_id).sort()).toEqual([deviceId, 'PHONE'].sort());
    await server.call('PUT', '/devices/PHONE', { token, body: { display_name: 'Old phone' } });
    await server.call('PUT', '/devices/PHONE', { token, body: {} });
    expect((await server.call('GET', '/devices/PHONE', { token })).body).toEqual({
      device_id: 'PHONE',
      display_name: 'Old phone',
    });
  });

  it('that are unknown, or another user’s, answer 404', async () => {
    const { token } = await server.register(alice);
    const second = await server.register(bob);
    for (const path of ['/devices/NONE', `/devices/${second.deviceId}`]) {
      for (const [method, body] of [
        ['GET', undefined],
        ['PUT', { display_name: 'x' }],
        ['PUT', {}],
      ] as const) {
        const answer = await server.call(method, path, { token, body });
        expect([answer.status, answer.body.errcode]).toEqual([404, 'M_NOT_FOUND']);
      }
    }
  });

  it('remember when and from where they were last seen, without being written at each request', async () => {
    const { token, deviceId } = await server.register(alice);
    const startMs = server.clock.now();
    await whoami(token);
    await server.clock.advance(60_000);
    await whoami(token);
    await server.clock.advance(0);
    const read = async () => (await server.call('GET', `/devices/${deviceId}`, { token })).body;
    expect(await read()).toMatchObject({ last_seen_ts: startMs, last_seen_ip: '127.0.0.1' });
    await server.clock.advance(5 * 60_000);
    await whoami(token);
    await server.clock.advance(0);
    expect((await read()).last_seen_ts).toBe(startMs + 6 * 60_000);
  });

  it('are deleted after the password was given', async () => {
    const { token, userId } = await server.register(alice);
    const phone = (await login(alice, 'secret', { device_id: 'PHONE' })).body.access_token;
    const remove = (auth?: object): Promise<Answer> =>
      server.call('DELETE', '/devices/PHONE', { token, ...(auth ? { body: { auth } } : {}) });

    const asked = await remove();
    expect(asked.status).toBe(401);
    expect(asked.body).toEqual({ flows: [{ stages: ['m.login.password'] }], params: {}, session: expect.any(String) });
    const wrong = await remove(passwordAuth(userId, 'wrong', asked.body.session));
    expect([wrong.status, wrong.body.errcode, wrong.body.session]).toEqual([401, 'M_FORBIDDEN', asked.body.session]);
    expect(await whoami(phone)).toBe(200);
    expect((await remove(passwordAuth(userId, 'secret', asked.body.session))).status).toBe(200);
    expect(await whoami(phone)).toBe(401);
    expect((await server.call('GET', '/devices/PHONE', { token })).status).toBe(404);
    expect((await remove(passwordAuth(userId))).status).toBe(200);
  });

  it('are not deleted with another user’s password', async () => {
    const { token } = await server.register(alice);
    await login(alice, 'secret', { device_id: 'PHONE' });
    await server.register(bob);
    const answer = await server.call('DELETE', '/devices/PHONE', { token, body: { auth: passwordAuth(bob) } });
    expect([answer.status, answer.body.errcode]).toEqual([403, 'M_FORBIDDEN']);
    expect((await server.call('GET', '/devices/PHONE', { token })).status).toBe(200);
  });

  it('are not deleted with a session that was opened for another device', async () => {
    const { token, deviceId } = await server.register(alice);
    await login(alice, 'secret', { device_id: 'PHONE' });
    const { session } = (await server.call('DELETE', '/devices/PHONE', { token })).body;
    const body = { auth: passwordAuth(alice, 'secret', session) };
    expect((await server.call('DELETE', `/devices/${deviceId}`, { token, body })).status).toBe(401);
    expect((await server.call('DELETE', '/devices/PHONE', { token, body })).status).toBe(200);
  });

  it('are deleted several at once', async () => {
    const { token, deviceId } = await server.register(alice);
    await login(alice, 'secret', { device_id: 'A' });
    await login(alice, 'secret', { device_id: 'B' });
    const devices = ['A', 'B', 'NONE', 'A'];
    expect((await server.call('POST', '/delete_devices', { token, body: { devices } })).status).toBe(401);
    const body = { devices, auth: passwordAuth(alice) };
    expect((await server.call('POST', '/delete_devices', { token, body })).body).toEqual({});
    const left = (await server.call('GET', '/devices', { token })).body.devices;
    expect(left.map((device: { device_id: string }) => device.device_id)).toEqual([deviceId]);
    const bad = await server.call('POST', '/delete_devices', { token, body: { devices: 'A' } });
    expect(bad.body.errcode).toBe('M_BAD_JSON');
  });
});

describe('POST /account/password', () => {
  const change = (token: string, password: string, more: object): Promise<Answer> =>
    server.call('POST', '/account/password', { token, body: { auth: passwordAuth(alice, password), ...more } });

  it('ends the old password and every other device', async () => {
    const { token } = await server.register(alice);
    const other = (await login(alice)).body.access_token;
    expect((await server.call('POST', '/account/password', { token, body: {} })).status).toBe(401);
    expect((await change(token, 'wrong', { new_password: 'new' })).status).toBe(401);
    expect((await change(token, 'secret', { new_password: 'new' })).body).toEqual({});
    expect([await whoami(token), await whoami(other)]).toEqual([200, 401]);
    expect([(await login(alice, 'secret')).status, (await login(alice, 'new')).status]).toEqual([403, 200]);
  });

  it('keeps the other devices where the client says so', async () => {
    const { token } = await server.register(alice);
    const other = (await login(alice)).body.access_token;
    await change(token, 'secret', { new_password: 'new', logout_devices: false });
    expect(await whoami(other)).toBe(200);
  });

  it('needs a new password that is one', async () => {
    const { token } = await server.register(alice);
    expect((await change(token, 'secret', {})).body.errcode).toBe('M_MISSING_PARAM');
    expect((await change(token, 'secret', { new_password: '' })).body.errcode).toBe('M_WEAK_PASSWORD');
    expect((await login(alice, 'secret')).status).toBe(200);
  });
});

describe('POST /account/deactivate', () => {
  const deactivate = (token: string, password: string): Promise<Answer> =>
    server.call('POST', '/account/deactivate', { token, body: { auth: passwordAuth(alice, password), erase: true } });

  it('ends the account and every token, and keeps the name taken', async () => {
    const { token } = await server.register(alice);
    const other = (await login(alice)).body.access_token;
    const asked = await server.call('POST', '/account/deactivate', { token, body: {} });
    expect([asked.status, asked.body.flows]).toEqual([401, [{ stages: ['m.login.password'] }]]);
    expect((await deactivate(token, 'wrong')).body.errcode).toBe('M_FORBIDDEN');
    expect((await deactivate(token, 'secret')).body).toEqual({ id_server_unbind_result: 'success' });
    expect([await whoami(token), await whoami(other)]).toEqual([401, 401]);
    const again = await login(alice);
    expect([again.status, again.body.errcode]).toEqual([403, 'M_USER_DEACTIVATED']);
    const taken = await server.call('GET', `/register/available?username=${alice}`);
    expect(taken.body.errcode).toBe('M_USER_IN_USE');
  });
});

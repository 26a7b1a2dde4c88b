import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type AccountServer, startAccountServer } from './account-server.ts';

let server: AccountServer;
/** Fresh names for each test, on one server. */
let alice: string;
let bob: string;
let tests = 0;
let registrationOpen = true;

beforeAll(async () => {
  server = await startAccountServer({
    registrationOpen: () => registrationOpen,
    isExclusive: (userId) => userId.startsWith('@bridge'),
  });
});
beforeEach(() => {
  registrationOpen = true;
  tests += 1;
  alice = `alice${tests}`;
  bob = `bob${tests}`;
});
afterAll(() => server.stop());

const dummy = { type: 'm.login.dummy' };
const register = (body: unknown, query = ''): ReturnType<AccountServer['call']> =>
  server.call('POST', `/register${query}`, { body });

describe('POST /register', () => {
  it('asks for authentication with flows and a session, and no errcode', async () => {
    const { status, body } = await register({});
    expect(status).toBe(401);
    expect(body).toEqual({ flows: [{ stages: ['m.login.dummy'] }], params: {}, session: expect.any(String) });
  });

  it.each(['v3', 'r0'])('makes an account, a device and a token under %s', async (version) => {
    const { status, body } = await server.call('POST', `/_matrix/client/${version}/register`, {
      body: { username: alice, password: 'secret', auth: dummy },
    });
    expect(status).toBe(200);
    expect(body).toMatchObject({ user_id: `@${alice}:a.test`, home_server: 'a.test' });
    const whoami = await server.call('GET', '/account/whoami', { token: body.access_token });
    expect(whoami.body).toEqual({ user_id: `@${alice}:a.test`, device_id: body.device_id, is_guest: false });
  });

  it('goes on with the session that it gave', async () => {
    const wish = { username: bob, password: 'übers3kr1t', device_id: 'xyzzy', initial_device_display_name: 'Phone' };
    const { session } = (await register(wish)).body;
    const { status, body } = await register({ ...wish, auth: { ...dummy, session } });
    expect([status, body.device_id]).toEqual([200, 'xyzzy']);
    const device = await server.call('GET', '/devices/xyzzy', { token: body.access_token });
    expect(device.body.display_name).toBe('Phone');
  });

  it('refuses a session that it never gave, that ended, or that is spent', async () => {
    const refused = await register({ username: bob, auth: { ...dummy, session: 'invented' } });
    expect([refused.status, refused.body.errcode]).toEqual([401, 'M_FORBIDDEN']);
    const { session } = (await register({})).body;
    await server.clock.advance(15 * 60_000);
    expect((await register({ username: bob, auth: { ...dummy, session } })).status).toBe(401);
    const spent = (await register({})).body.session;
    expect((await register({ username: bob, auth: { ...dummy, session: spent } })).status).toBe(200);
    expect((await register({ username: `carol${tests}`, auth: { ...dummy, session: spent } })).status).toBe(401);
  });

  it('refuses another kind of authentication', async () => {
    const { status, body } = await register({ username: bob, auth: { type: 'm.login.recaptcha' } });
    expect([status, body.errcode]).toEqual([401, 'M_FORBIDDEN']);
    expect(body.flows).toEqual([{ stages: ['m.login.dummy'] }]);
  });

  it('gives neither device nor token where the login is inhibited', async () => {
    const { body } = await register({ username: bob, password: 'x', inhibit_login: true, auth: dummy });
    expect(body).toEqual({ user_id: `@${bob}:a.test`, home_server: 'a.test' });
    expect(await server.storage.accounts.listDevices(body.user_id)).toEqual([]);
  });

  it('makes a name where none is wished', async () => {
    const { body } = await register({ auth: dummy });
    expect(body.user_id).toMatch(/^@[a-z0-9]{16}:a\.test$/);
  });

  it('writes capitals small', async () => {
    expect((await register({ username: 'user-UPPER', auth: dummy })).body.user_id).toBe('@user-upper:a.test');
  });

  it('refuses other characters before it asks for authentication', async () => {
    for (const character of [
      '!',
      '"',
      ':',
      '?',
      '\\',
      '@',
      '[',
      ']',
      '{',
      '|',
      '}',
      '£',
      'é',
      '\n',
      "'",
      ' ',
      '\u212a',
    ]) {
      const { status, body } = await register({ username: `user-${character}-x` });
      expect([character, status, body.errcode]).toEqual([character, 400, 'M_INVALID_USERNAME']);
    }
  });

  it('refuses names that are empty, too long or start with an underscore', async () => {
    for (const username of ['', 'x'.repeat(248), '_service']) {
      const { status, body } = await register({ username, auth: dummy });
      expect([status, body.errcode]).toEqual([400, 'M_INVALID_USERNAME']);
    }
    expect((await register({ username: 'x'.repeat(247), auth: dummy })).status).toBe(200);
  });

  it('allows all characters of the grammar', async () => {
    expect((await register({ username: 'q3._=-/+', auth: dummy })).body.user_id).toBe('@q3._=-/+:a.test');
  });

  it('refuses a name that is taken, before and after the authentication', async () => {
    await server.register(alice);
    for (const auth of [undefined, dummy]) {
      const { status, body } = await register({ username: alice.toUpperCase(), password: 'other', auth });
      expect([status, body.errcode]).toEqual([400, 'M_USER_IN_USE']);
    }
  });

  it('gives a name once, however many ask at once', async () => {
    const answers = await Promise.all([1, 2, 3, 4].map(() => register({ username: alice, auth: dummy })));
    expect(answers.map((answer) => answer.status).sort()).toEqual([200, 400, 400, 400]);
  });

  it('refuses names that belong to an application service', async () => {
    expect((await register({ username: 'bridge1', auth: dummy })).body.errcode).toBe('M_EXCLUSIVE');
    expect((await register({ username: 'abridge', auth: dummy })).status).toBe(200);
  });

  it('is forbidden while registration is closed', async () => {
    registrationOpen = false;
    const { status, body } = await register({ username: alice, auth: dummy });
    expect([status, body.errcode]).toEqual([403, 'M_FORBIDDEN']);
    expect((await server.call('GET', `/register/available?username=${alice}`)).status).toBe(403);
    registrationOpen = true;
    expect((await register({ username: alice, auth: dummy })).status).toBe(200);
  });

  it('has no guests and knows no other kinds', async () => {
    const guest = await register({}, '?kind=guest');
    expect([guest.status, guest.body.errcode]).toEqual([403, 'M_GUEST_ACCESS_FORBIDDEN']);
    const other = await register({}, '?kind=ghost');
    expect([other.status, other.body.errcode]).toEqual([400, 'M_INVALID_PARAM']);
    expect((await register({ auth: dummy }, '?kind=user')).status).toBe(200);
  });

  it('refuses fields of other types', async () => {
    for (const body of [
      { username: 1 },
      { password: [] },
      { auth: 'dummy' },
      { inhibit_login: 'yes' },
      { device_id: '' },
    ]) {
      const answer = await register(body);
      expect([body, answer.status, answer.body.errcode]).toEqual([body, 400, 'M_BAD_JSON']);
    }
  });

  it('refuses an empty and an absurdly long password', async () => {
    for (const password of ['', 'x'.repeat(1_025)]) {
      const { status, body } = await register({ username: alice, password, auth: dummy });
      expect([status, body.errcode]).toEqual([400, 'M_WEAK_PASSWORD']);
    }
  });

  it('stores neither password nor token as they are', async () => {
    const { token } = await server.register(alice);
    const account = await server.storage.accounts.findAccount(`@${alice}:a.test` as never);
    expect(account?.passwordHash).toMatch(/^\$argon2id\$/);
    expect(await server.storage.accounts.findAccessToken(token)).toBeUndefined();
  });
});

describe('GET /register/available', () => {
  it('says which names are free, taken or impossible', async () => {
    await server.register(alice);
    const ask = (username: string) => server.call('GET', `/register/available?username=${username}`);
    expect(await ask('free')).toEqual({ status: 200, body: { available: true } });
    expect(await ask(alice)).toMatchObject({ status: 400, body: { errcode: 'M_USER_IN_USE' } });
    expect(await ask('a,b')).toMatchObject({ status: 400, body: { errcode: 'M_INVALID_USERNAME' } });
  });

  it('needs a name', async () => {
    expect((await server.call('GET', '/register/available')).body.errcode).toBe('M_MISSING_PARAM');
  });
});

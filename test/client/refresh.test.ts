import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { TestServer } from '../support/server.ts';
import { TestUser } from '../support/user.ts';
import { type AccountServer, type Answer, passwordAuth, startAccountServer } from './account-server.ts';
import { encode, newUser } from './rooms-support.ts';

let server: AccountServer;
let alice: string;
let tests = 0;

beforeAll(async () => {
  server = await startAccountServer({ tokenLifetimes: { refreshableMs: 60_000, refreshTokenMs: 600_000 } });
});
beforeEach(() => {
  tests += 1;
  alice = `alice${tests}`;
});
afterAll(() => server.stop());

const login = (more: object = {}): Promise<Answer> =>
  server.call('POST', '/login', {
    body: { type: 'm.login.password', identifier: { type: 'm.id.user', user: alice }, password: 'secret', ...more },
  });
const refresh = (refreshToken: unknown): Promise<Answer> =>
  server.call('POST', '/refresh', { body: { refresh_token: refreshToken } });
const whoami = (token: string): Promise<Answer> => server.call('GET', '/account/whoami', { token });
const refused = ({ status, body }: Answer) => [status, body.errcode, body.soft_logout];

describe('POST /refresh', () => {
  it('is for clients that asked for it at their login or registration', async () => {
    const registered = await server.call('POST', '/register', {
      body: { username: alice, password: 'secret', refresh_token: true, auth: { type: 'm.login.dummy' } },
    });
    for (const { status, body } of [registered, await login({ refresh_token: true })]) {
      expect([status, body]).toMatchObject([200, { refresh_token: expect.any(String), expires_in_ms: 60_000 }]);
      const refreshed = await refresh(body.refresh_token);
      expect(refreshed).toEqual({
        status: 200,
        body: { access_token: expect.any(String), refresh_token: expect.any(String), expires_in_ms: 60_000 },
      });
      expect((await whoami(refreshed.body.access_token)).body.device_id).toBe(body.device_id);
    }
  });

  it('gives no refresh token to others, whose access tokens then do not end', async () => {
    await server.register(alice);
    for (const more of [{}, { refresh_token: false }]) {
      const { body } = await login(more);
      expect(body).not.toHaveProperty('refresh_token');
      expect(body).not.toHaveProperty('expires_in_ms');
      await server.clock.advance(3_600_000);
      expect((await whoami(body.access_token)).status).toBe(200);
    }
  });

  it('is asked for after the access token ended, which the client is told softly', async () => {
    await server.register(alice);
    const { body } = await login({ refresh_token: true });
    await server.clock.advance(60_000);
    expect(refused(await whoami(body.access_token))).toEqual([401, 'M_UNKNOWN_TOKEN', true]);
    const refreshed = await refresh(body.refresh_token);
    expect((await whoami(refreshed.body.access_token)).status).toBe(200);
    expect(refused(await whoami(body.access_token))).toEqual([401, 'M_UNKNOWN_TOKEN', false]);
    expect(refused(await refresh(body.refresh_token))).toEqual([401, 'M_UNKNOWN_TOKEN', false]);
  });

  it('refuses a refresh token that waited too long, softly, so that the device may sign in again', async () => {
    await server.register(alice);
    const { body } = await login({ refresh_token: true });
    await server.clock.advance(600_000);
    expect(refused(await refresh(body.refresh_token))).toEqual([401, 'M_UNKNOWN_TOKEN', true]);
    const again = await login({ refresh_token: true, device_id: body.device_id });
    expect(again.body.device_id).toBe(body.device_id);
  });

  it('refuses what is no token', async () => {
    expect(refused(await refresh('invented'))).toEqual([401, 'M_UNKNOWN_TOKEN', false]);
    expect((await refresh(7)).body.errcode).toBe('M_BAD_JSON');
    expect((await server.call('POST', '/refresh', { body: {} })).body.errcode).toBe('M_MISSING_PARAM');
    const body = { type: 'm.login.password', user: alice, password: 'secret', refresh_token: 'yes' };
    expect((await server.call('POST', '/login', { body })).body.errcode).toBe('M_BAD_JSON');
  });

  it('is over with a logout, a new login of the device, its deletion and a change of the password', async () => {
    const { token, userId } = await server.register(alice);
    const signedIn = async () => (await login({ refresh_token: true, device_id: 'PHONE' })).body;

    const loggedOut = await signedIn();
    await server.call('POST', '/logout', { token: loggedOut.access_token });
    const replaced = await signedIn();
    const deleted = await signedIn();
    await server.call('DELETE', '/devices/PHONE', { token, body: { auth: passwordAuth(userId) } });
    const locked = await signedIn();
    await server.call('POST', '/account/password', {
      token,
      body: { auth: passwordAuth(userId), new_password: 'new' },
    });

    for (const { refresh_token: refreshToken } of [loggedOut, replaced, deleted, locked]) {
      expect(refused(await refresh(refreshToken))).toEqual([401, 'M_UNKNOWN_TOKEN', false]);
    }
  });
});

describe('a device that refreshed its token', () => {
  it('gets the same event for the same transaction id, and its id in the event', async () => {
    const whole = await TestServer.start();
    try {
      const { userId } = await newUser(whole);
      const device = new TestUser(whole.url);
      const identifier = { type: 'm.id.user', user: userId };
      const body = { type: 'm.login.password', identifier, password: 'correct horse', refresh_token: true };
      const signedIn = await device.ok('POST', '/login', body);
      device.accessToken = signedIn.access_token;
      const roomId = await device.createRoom();
      const send = () => device.ok('PUT', `/rooms/${encode(roomId)}/send/m.room.message/same`, { body: 'x' });
      const first = await send();
      device.accessToken = (
        await device.ok('POST', '/refresh', { refresh_token: signedIn.refresh_token })
      ).access_token;
      const shown = (await device.sync()).rooms.join[roomId].timeline.events.at(-1);
      expect([shown.event_id, shown.unsigned.transaction_id]).toEqual([first.event_id, 'same']);
      expect(await send()).toEqual(first);
    } finally {
      await whole.stop();
    }
  });
});

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type AccountServer, type Answer, startAccountServer } from './account-server.ts';

/** Who somebody is for others: third-party identifiers, of which there are none, and OpenID. */

let server: AccountServer;
let alice: { userId: string; token: string };
let bob: { userId: string; token: string };
let tests = 0;

beforeAll(async () => {
  server = await startAccountServer();
});
beforeEach(async () => {
  tests += 1;
  alice = await server.register(`alice${tests}`);
  bob = await server.register(`bob${tests}`);
});
afterAll(() => server.stop());

const refused = ({ status, body }: Answer) => [status, body.errcode];

describe('third-party identifiers', () => {
  it('are listed, and there are none', async () => {
    expect(await server.call('GET', '/account/3pid', { token: alice.token })).toEqual({
      status: 200,
      body: { threepids: [] },
    });
    expect(refused(await server.call('GET', '/account/3pid'))).toEqual([401, 'M_MISSING_TOKEN']);
  });

  it.each(['', '/add', '/bind', '/delete'])('are not changed by POST /account/3pid%s', async (path) => {
    const body = { three_pid_creds: {}, sid: 'x', client_secret: 'x', medium: 'email', address: 'a@example.org' };
    const answer = await server.call('POST', `/account/3pid${path}`, { token: alice.token, body });
    expect(refused(answer)).toEqual([403, 'M_FORBIDDEN']);
    expect(refused(await server.call('POST', `/account/3pid${path}`, { body }))).toEqual([401, 'M_MISSING_TOKEN']);
  });

  it('are unbound nowhere', async () => {
    const body = { medium: 'email', address: 'a@example.org' };
    expect(await server.call('POST', '/account/3pid/unbind', { token: alice.token, body })).toEqual({
      status: 200,
      body: { id_server_unbind_result: 'no-support' },
    });
  });

  it.each(['email', 'msisdn'])('are not validated by %s', async (medium) => {
    const ask = (use: string) => server.call('POST', `${use}/${medium}/requestToken`, { body: { client_secret: 'x' } });
    expect(refused(await ask('/register'))).toEqual([403, 'M_THREEPID_DENIED']);
    expect(refused(await ask('/account/password'))).toEqual([403, 'M_THREEPID_DENIED']);
    expect(refused(await ask('/account/3pid'))).toEqual([400, 'M_THREEPID_MEDIUM_NOT_SUPPORTED']);
  });
});

describe('an OpenID token', () => {
  const request = (userId: string, token?: string): Promise<Answer> =>
    server.call('POST', `/user/${userId}/openid/request_token`, { ...(token ? { token } : {}), body: {} });
  const userinfo = (token: string): Promise<Answer> =>
    server.call('GET', `/_matrix/federation/v1/openid/userinfo?access_token=${token}`);

  it('tells services who its owner is, any number of times within an hour', async () => {
    const { status, body } = await request(alice.userId, alice.token);
    expect([status, body]).toEqual([
      200,
      { access_token: expect.any(String), token_type: 'Bearer', matrix_server_name: 'a.test', expires_in: 3_600 },
    ]);
    await server.clock.advance(3_599_999);
    for (const _ of [1, 2]) expect((await userinfo(body.access_token)).body).toEqual({ sub: alice.userId });
    await server.clock.advance(1);
    expect(refused(await userinfo(body.access_token))).toEqual([401, 'M_UNKNOWN_TOKEN']);
  });

  it('is good for nothing else, and no other token is good for it', async () => {
    const { body } = await request(alice.userId, alice.token);
    const whoami = await server.call('GET', '/account/whoami', { token: body.access_token });
    expect(refused(whoami)).toEqual([401, 'M_UNKNOWN_TOKEN']);
    expect(refused(await userinfo(alice.token))).toEqual([401, 'M_UNKNOWN_TOKEN']);
    expect((await server.call('GET', '/_matrix/federation/v1/openid/userinfo')).body.errcode).toBe('M_MISSING_PARAM');
  });

  it('is given for oneself only', async () => {
    expect(refused(await request(bob.userId, alice.token))).toEqual([403, 'M_FORBIDDEN']);
    expect(refused(await request(alice.userId))).toEqual([401, 'M_MISSING_TOKEN']);
  });

  it('ends when the device that asked for it is signed out', async () => {
    const { body } = await request(alice.userId, alice.token);
    await server.call('POST', '/logout', { token: alice.token });
    expect(refused(await userinfo(body.access_token))).toEqual([401, 'M_UNKNOWN_TOKEN']);
  });
});

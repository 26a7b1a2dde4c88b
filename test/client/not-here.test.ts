import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestServer } from '../support/server.ts';
import type { TestUser } from '../support/user.ts';
import { newUser, refusal } from './rooms-support.ts';

/** What clients ask for and this server does not have: they must be told so in the way that lets them go on. */

let server: TestServer;
let alice: TestUser;

beforeAll(async () => {
  server = await TestServer.start();
  alice = await newUser(server);
});
afterAll(() => server.stop());

describe('what is not here', () => {
  it.each([
    ['/voip/turnServer', {}],
    ['/thirdparty/protocols', {}],
  ])('is said by an empty answer of %s', async (path, body) => {
    expect(await alice.call('GET', path)).toEqual({ status: 200, body });
    expect((await fetch(`${server.url}${path.startsWith('/_') ? path : `/_matrix/client/v3${path}`}`)).status).toBe(
      401,
    );
  });

  it.each(['protocol/irc', 'location', 'location/irc', 'user', 'user/irc'])(
    'is not found as a third-party network: %s',
    async (path) => {
      expect(refusal(await alice.call('GET', `/thirdparty/${path}`))).toEqual([404, 'M_NOT_FOUND']);
    },
  );

  it.each([
    '/events',
    '/initialSync',
    '/_matrix/client/r0/initialSync',
    '/rooms/!x:a.test/initialSync',
    '/login/sso/redirect',
    '/_matrix/client/v1/auth_metadata',
    '/_matrix/client/unstable/org.matrix.msc2965/auth_metadata',
    '/_synapse/admin/v1/server_version',
  ])('is not recognised where it is deliberately absent: %s', async (path) => {
    expect(refusal(await alice.call('GET', path))).toEqual([404, 'M_UNRECOGNIZED']);
  });
});

import { createHmac } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestServer } from '../support/server.ts';
import { TestUser } from '../support/user.ts';
import { forbidden, inRoom, type Json, notFound, refusal } from './rooms-support.ts';

const secret = 'a secret of this test';
let server: TestServer;

beforeAll(async () => {
  server = await TestServer.start({ config: { registration: 'closed', registration_shared_secret: secret } });
});
afterAll(() => server.stop());

const path = '/_synapse/admin/v1/register';

interface Wish {
  username: string;
  password?: string;
  admin?: boolean;
  displayname?: string;
  nonce?: string;
  by?: string;
  mac?: string;
}

async function ask(wish: Wish, at = server) {
  const user = new TestUser(at.url);
  const { username, password = 'correct horse', admin = false, displayname, by = secret } = wish;
  const nonce = wish.nonce ?? (await user.ok('GET', path)).nonce;
  const text = [nonce, username, password, admin ? 'admin' : 'notadmin'].join('\0');
  const mac = wish.mac ?? createHmac('sha1', by).update(text).digest('hex');
  const answer = await user.call('POST', path, { nonce, username, password, admin, mac, displayname });
  return { answer, nonce, user };
}

async function register(wish: Wish): Promise<TestUser> {
  const { answer, user } = await ask(wish);
  expect(answer.status).toBe(200);
  user.userId = answer.body.user_id;
  user.accessToken = answer.body.access_token;
  user.deviceId = answer.body.device_id;
  return user;
}

describe('registration by who knows the secret', () => {
  it('makes an account and signs it in, though registration is closed', async () => {
    const user = await register({ username: 'carol', displayname: 'Carol' });
    expect(await user.ok('GET', '/account/whoami')).toMatchObject({ user_id: `@carol:${server.name}` });
    expect((await user.ok('GET', `/profile/${user.userId}`)).displayname).toBe('Carol');
    expect((await user.newDevice()).userId).toBe(user.userId);
    expect(refusal((await ask({ username: 'carol' })).answer)).toEqual([400, 'M_USER_IN_USE']);
  });

  it('refuses another secret, another request than was signed, and nonsense', async () => {
    expect(refusal((await ask({ username: 'dora', by: 'another secret' })).answer)).toEqual(forbidden);
    expect(refusal((await ask({ username: 'dora', mac: 'x' })).answer)).toEqual(forbidden);
    const { user, nonce } = await ask({ username: 'dora', mac: '00' });
    expect(nonce).toEqual(expect.any(String));
    const fresh = (await user.ok('GET', path)).nonce;
    const mac = createHmac('sha1', secret).update([fresh, 'dora', 'x', 'notadmin'].join('\0')).digest('hex');
    const raised = { nonce: fresh, username: 'dora', password: 'x', admin: true, mac };
    expect(refusal(await user.call('POST', path, raised))).toEqual(forbidden);
  });

  it('takes a nonce once, within a minute, and none of its own making', async () => {
    const used = await ask({ username: 'emil' });
    expect(refusal((await ask({ username: 'fritz', nonce: used.nonce })).answer)).toEqual([400, 'M_INVALID_PARAM']);
    expect(refusal((await ask({ username: 'fritz', nonce: 'made up' })).answer)).toEqual([400, 'M_INVALID_PARAM']);
    const { nonce } = await new TestUser(server.url).ok('GET', path);
    await server.clock.advance(60_000);
    expect(refusal((await ask({ username: 'fritz', nonce })).answer)).toEqual([400, 'M_INVALID_PARAM']);
  });

  it('is not there without a secret', async () => {
    const other = await TestServer.start();
    try {
      expect(refusal(await new TestUser(other.url).call('GET', path))).toEqual([404, 'M_UNRECOGNIZED']);
      const { answer } = await ask({ username: 'x', nonce: 'x' }, other);
      expect(refusal(answer)).toEqual([404, 'M_UNRECOGNIZED']);
    } finally {
      await other.stop();
    }
  });
});

describe('administrators', () => {
  it('may look up a user’s devices, as that user may, and nobody else', async () => {
    const admin = await register({ username: 'admin', admin: true });
    const [one, two] = [await register({ username: 'one' }), await register({ username: 'two' })];
    const whois = (user: TestUser) => user.call('GET', `/admin/whois/${one.userId}`);
    expect((await whois(admin)).body).toMatchObject({ user_id: one.userId, devices: { [one.deviceId]: {} } });
    expect((await whois(one)).status).toBe(200);
    expect(refusal(await whois(two))).toEqual(forbidden);
    await admin.ok('POST', '/account/deactivate', {
      auth: {
        type: 'm.login.password',
        identifier: { type: 'm.id.user', user: admin.userId },
        password: 'correct horse',
      },
    });
    expect((await whois(admin)).status).toBe(401);
  });

  it('read what was reported, and nobody else does', async () => {
    const admin = await register({ username: 'reader', admin: true });
    const [alice, bob] = [await register({ username: 'alice' }), await register({ username: 'bob' })];
    const roomId = await alice.createRoom();
    const eventId = await alice.say(roomId, 'rude');
    const report = (user: TestUser, body: Json, ...parts: string[]) =>
      user.call('POST', inRoom(roomId, 'report', ...parts), body);
    expect((await report(alice, { reason: 'rude', score: -100 }, eventId)).body).toEqual({});
    expect((await report(alice, {}, eventId)).status).toBe(200);
    expect((await report(bob, { reason: 'a bad room' })).status).toBe(200);
    expect((await bob.call('POST', `/users/${alice.userId}/report`, { reason: 'a bad one' })).status).toBe(200);
    expect((await bob.call('POST', '/users/@far:away.test/report', { reason: '' })).status).toBe(200);
    const list = (user: TestUser, query = '') => user.call('GET', `/_synapse/admin/v1/event_reports${query}`);
    const { body } = await list(admin);
    expect(body.total).toBe(5);
    expect(
      body.event_reports.map((entry: Json) => [
        entry.user_id,
        entry.reported_user_id ?? entry.event_id ?? entry.room_id,
        entry.reason,
      ]),
    ).toEqual([
      [bob.userId, '@far:away.test', ''],
      [bob.userId, alice.userId, 'a bad one'],
      [bob.userId, roomId, 'a bad room'],
      [alice.userId, eventId, ''],
      [alice.userId, eventId, 'rude'],
    ]);
    const page = (await list(admin, '?limit=4')).body;
    expect((await list(admin, `?from=${page.next_token}`)).body.event_reports).toHaveLength(1);
    expect(refusal(await list(alice))).toEqual(forbidden);
  });

  it('are told of nothing that the reporter may not see or that is not there', async () => {
    const [alice, bob] = [await register({ username: 'anna' }), await register({ username: 'bert' })];
    const roomId = await alice.createRoom();
    const eventId = await alice.say(roomId, 'private');
    expect(refusal(await bob.call('POST', inRoom(roomId, 'report', eventId), { reason: '' }))).toEqual(notFound);
    expect(refusal(await bob.call('POST', inRoom('!none:here.test', 'report'), { reason: '' }))).toEqual(notFound);
    expect(refusal(await bob.call('POST', `/users/@none:${server.name}/report`, { reason: '' }))).toEqual(notFound);
    expect((await bob.call('POST', inRoom(roomId, 'report'), {})).status).toBe(400);
  });
});

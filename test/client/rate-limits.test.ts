import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { configShape } from '../../src/app/config/shape.ts';
import { TestServer } from '../support/server.ts';
import { type Answer, TestUser } from '../support/user.ts';
import { bodiesOf, inRoom, messages, newUser, newUsers } from './rooms-support.ts';

/** Small, so that a test reaches them; those of the others are not what a test is about. */
const limits = { registrations_per_minute: 0, logins_per_minute: 0, failed_logins_per_minute: 0 };

const start = (rateLimits: Record<string, number | boolean>, more: Record<string, unknown> = {}): Promise<TestServer> =>
  TestServer.start({ config: { rate_limits: { ...limits, ...rateLimits }, presence: { enabled: false }, ...more } });

const password = 'correct horse';
const login = (user: TestUser, word = password, more: object = {}): Promise<Answer> =>
  new TestUser(user.url).call('POST', '/login', {
    type: 'm.login.password',
    user: user.userId,
    password: word,
    ...more,
  });

/** What was refused for being too much, checked for the time to wait. */
function retryAfter({ status, body }: Answer): number {
  expect([status, body.errcode]).toEqual([429, 'M_LIMIT_EXCEEDED']);
  expect(body.retry_after_ms).toBeGreaterThan(0);
  return body.retry_after_ms;
}

describe('rate limits', () => {
  it('are on unless they are switched off', () => {
    const { rate_limits: defaults } = configShape.parse({});
    expect(defaults.enabled).toBe(true);
    for (const count of Object.values(defaults)) expect(count).not.toBe(0);
  });

  it('are all off at one switch, that of presence too', async () => {
    const server = await TestServer.start({
      config: {
        rate_limits: { enabled: false, messages_per_minute: 1, registrations_per_minute: 1 },
        presence: { puts_per_minute: 1 },
      },
    });
    const [alice] = await newUsers(server, 'alice', 'bob', 'carol');
    const roomId = await alice.createRoom();
    for (let index = 0; index < 5; index += 1) {
      await alice.say(roomId, 'x');
      await alice.setPresence('online');
    }
    await server.stop();
  });
});

describe('of registration', () => {
  it('by address: refused until the minute is over, when the name is still free', async () => {
    const server = await start({ registrations_per_minute: 3 });
    const client = new TestUser(server.url);
    const body = { username: 'late', password, auth: { type: 'm.login.dummy' } };
    for (let index = 0; index < 3; index += 1) await newUser(server);
    const refused = await client.call('POST', '/register', body);
    const waitMs = retryAfter(refused);
    retryAfter(await client.call('GET', '/register/available?username=late'));
    await server.clock.advance(waitMs);
    expect((await client.call('POST', '/register', body)).status).toBe(200);
    await server.stop();
  });

  it('by the address that a trusted proxy names', async () => {
    const server = await start(
      { registrations_per_minute: 1 },
      { listeners: [{ port: 0, serves: ['client'], behind_proxy: true }] },
    );
    const ask = async (address: string) => {
      const headers = { 'x-forwarded-for': address };
      const response = await fetch(`${server.url}/_matrix/client/v3/register/available?username=free`, { headers });
      return [response.status, response.headers.get('retry-after')];
    };
    expect(await ask('192.0.2.1')).toEqual([200, null]);
    expect(await ask('192.0.2.2')).toEqual([200, null]);
    expect(await ask('192.0.2.1')).toEqual([429, '60']);
    expect(await ask('2001:db8::1')).toEqual([200, null]);
    expect(await ask('2001:db8::2')).toEqual([429, '60']);
    await server.stop();
  });
});

describe('of logins', () => {
  it('by address, refreshed tokens among them', async () => {
    const server = await start({ logins_per_minute: 3 });
    const alice = await newUser(server);
    const { body } = await login(alice, password, { refresh_token: true });
    await login(alice);
    const refresh = () => alice.call('POST', '/refresh', { refresh_token: body.refresh_token });
    expect((await refresh()).status).toBe(200);
    retryAfter(await refresh());
    retryAfter(await login(alice));
    await server.clock.advance(60_000);
    expect((await refresh()).status).toBe(200);
    await server.stop();
  });

  it('by account after wrong passwords, wherever they were tried, and right ones do not count', async () => {
    const server = await start({ failed_logins_per_minute: 3 });
    const [alice, bob] = await newUsers(server, 'alice', 'bob');
    for (let index = 0; index < 10; index += 1) expect((await login(alice)).status).toBe(200);
    for (let index = 0; index < 2; index += 1) expect((await login(alice, 'wrong')).status).toBe(403);
    const auth = { type: 'm.login.password', user: alice.userId, password: 'wrong' };
    expect((await alice.call('POST', '/delete_devices', { devices: [], auth })).status).toBe(401);

    const waitMs = retryAfter(await login(alice));
    retryAfter(await alice.call('POST', '/delete_devices', { devices: [], auth: { ...auth, password } }));
    expect((await login(bob)).status).toBe(200);
    expect((await alice.call('GET', '/account/whoami')).status).toBe(200);
    await server.clock.advance(waitMs);
    expect((await login(alice)).status).toBe(200);
    await server.stop();
  });

  it('by account, also when many are tried at once, and alike for nobody', async () => {
    const server = await start({ failed_logins_per_minute: 3 });
    const alice = await newUser(server);
    const nobody = new TestUser(server.url);
    nobody.userId = `@nobody:${server.name}`;
    for (const user of [alice, nobody]) {
      const answers = await Promise.all(Array.from({ length: 10 }, () => login(user, 'wrong')));
      expect(answers.map(({ status }) => status).sort()).toEqual([403, 403, 403, ...Array(7).fill(429)]);
    }
    await server.stop();
  });
});

describe('of what a user does in rooms', () => {
  let server: TestServer;
  let alice: TestUser;
  let bob: TestUser;

  beforeAll(async () => {
    server = await start({
      messages_per_minute: 3,
      to_device_per_minute: 2,
      joins_per_minute: 3,
      invites_per_minute: 2,
    });
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    [alice, bob] = await newUsers(server, 'alice', 'bob');
  });

  it('by user: a message too many is not in the room, and is when it is sent again later', async () => {
    const roomId = await alice.createRoom({ preset: 'public_chat' });
    await bob.join(roomId);
    const send = (text: string) => alice.call('PUT', inRoom(roomId, 'send', 'm.room.message', text), { body: text });
    for (const text of ['one', 'two', 'three']) expect((await send(text)).status).toBe(200);
    const waitMs = retryAfter(await send('four'));
    retryAfter(await alice.call('PUT', inRoom(roomId, 'state', 'm.room.name', ''), { name: 'x' }));
    retryAfter(await alice.call('POST', inRoom(roomId, 'kick'), { user_id: bob.userId }));
    const { chunk } = await messages(bob, roomId);
    expect(bodiesOf(chunk)).toEqual(['three', 'two', 'one']);
    expect((await bob.call('PUT', inRoom(roomId, 'send', 'm.room.message', 'x'), { body: 'bob' })).status).toBe(200);

    await server.clock.advance(waitMs);
    const sent = await send('four');
    expect([sent.status, (await send('four')).body.event_id]).toEqual([200, sent.body.event_id]);
    expect(bodiesOf((await messages(bob, roomId)).chunk)).toEqual(['four', 'bob', 'three', 'two', 'one']);
  });

  it('by user: messages to devices, which take nothing from those in rooms, nor the other way round', async () => {
    const send = (id: string) =>
      alice.call('PUT', `/sendToDevice/m.x/${id}`, { messages: { [bob.userId]: { '*': {} } } });
    const roomId = await alice.createRoom();
    for (const id of ['1', '2']) expect((await send(id)).status).toBe(200);
    const waitMs = retryAfter(await send('3'));
    for (const text of ['one', 'two', 'three']) await alice.say(roomId, text);
    await server.clock.advance(waitMs);
    expect((await send('3')).status).toBe(200);
    const told = (await bob.sync()).to_device.events.map((event: { sender: string }) => event.sender);
    expect(told).toEqual([alice.userId, alice.userId, alice.userId]);
  });

  it('by user: joins and new rooms, and invites', async () => {
    const roomId = await alice.createRoom({ preset: 'public_chat' });
    const rooms = [
      await alice.createRoom({ preset: 'public_chat' }),
      await alice.createRoom({ preset: 'public_chat' }),
    ];
    retryAfter(await alice.call('POST', '/createRoom', {}));
    for (const room of [roomId, ...rooms]) await bob.join(room);
    retryAfter(await bob.call('POST', inRoom(roomId, 'join'), {}));

    const invite = (name: string) =>
      alice.call('POST', inRoom(roomId, 'invite'), { user_id: `@${name}:${server.name}` });
    const [carol, dave] = await newUsers(server, 'carol', 'dave');
    expect((await invite(carol.userId.slice(1, carol.userId.indexOf(':')))).status).toBe(200);
    expect((await invite(dave.userId.slice(1, dave.userId.indexOf(':')))).status).toBe(200);
    retryAfter(await invite('erin'));
    await bob.leave(roomId);
  });

  it('before the token is looked at no more than after it: who has none is told so', async () => {
    const stranger = new TestUser(server.url);
    for (let index = 0; index < 5; index += 1) {
      expect((await stranger.call('POST', '/createRoom', {})).body.errcode).toBe('M_MISSING_TOKEN');
    }
  });
});

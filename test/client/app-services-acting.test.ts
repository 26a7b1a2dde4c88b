import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { UserId } from '../../src/matrix/ids.ts';
import { startServerWith, TestService } from '../support/app-service.ts';
import type { TestServer } from '../support/server.ts';
import { TestUser } from '../support/user.ts';

let irc: TestService;
let log: TestService;
let server: TestServer;
let alice: TestUser;
let bridge: TestUser;
let ghosts = 0;
let ghost: string;

beforeAll(async () => {
  irc = await TestService.start('irc');
  log = await TestService.start('log', {
    sender_localpart: 'Logger',
    namespaces: { users: [{ exclusive: false, regex: '@.*' }] },
  });
  server = await startServerWith([irc, log]);
  alice = await server.register('alice');
  bridge = irc.clientOf(server);
});

afterAll(async () => {
  await server.stop();
  await irc.stop();
  await log.stop();
});

const serviceLogin = 'm.login.application_service';
const encode = encodeURIComponent;

beforeEach(async () => {
  ghosts += 1;
  const body = { type: serviceLogin, username: `_irc_${ghosts}`, inhibit_login: true };
  ghost = (await bridge.ok('POST', '/register', body)).user_id;
});

describe('a service', () => {
  it('acts as its sender, who is there from the start, where it names nobody', async () => {
    expect(await bridge.ok('GET', '/account/whoami')).toEqual({ user_id: `@_irc_bot:${server.name}`, is_guest: false });
  });

  it('may show its token in the query too', async () => {
    const { body } = await new TestUser(server.url).call('GET', `/account/whoami?access_token=${irc.asToken}`);
    expect(body.user_id).toBe(`@_irc_bot:${server.name}`);
  });

  it('acts as a user of its namespace', async () => {
    expect(await bridge.ok('GET', `/account/whoami?user_id=${encode(ghost)}`)).toEqual({
      user_id: ghost,
      is_guest: false,
    });
  });

  it.each([
    ['a user outside its namespace', 403, 'M_FORBIDDEN', () => alice.userId],
    ['a user that it has not registered', 403, 'M_FORBIDDEN', () => `@_irc_nobody:${server.name}`],
    ['a user of another server', 403, 'M_FORBIDDEN', () => '@_irc_a:there.example'],
    ['what is no user', 400, 'M_INVALID_PARAM', () => 'irc'],
  ])('does not act as %s', async (_who, status, errcode, userId) => {
    const answer = await bridge.call('GET', `/account/whoami?user_id=${encode(userId())}`);
    expect([answer.status, answer.body.errcode]).toEqual([status, errcode]);
  });

  it('does not act as two users at once', async () => {
    const answer = await bridge.call('GET', `/account/whoami?user_id=${encode(ghost)}&user_id=${encode(ghost)}`);
    expect([answer.status, answer.body.errcode]).toEqual([400, 'M_INVALID_PARAM']);
  });

  it('is asked for nobody else: a user who says user_id stays who they are', async () => {
    expect((await alice.ok('GET', `/account/whoami?user_id=${encode(ghost)}`)).user_id).toBe(alice.userId);
  });

  it('acts as everybody where its namespace says so', async () => {
    const logger = log.clientOf(server);
    expect((await logger.ok('GET', `/account/whoami?user_id=${encode(alice.userId)}`)).user_id).toBe(alice.userId);
    expect((await logger.ok('GET', '/account/whoami')).user_id).toBe(`@Logger:${server.name}`);
  });

  it('does nothing as a user whose account was ended', async () => {
    const bob = await server.register('bob');
    const auth = {
      type: 'm.login.password',
      identifier: { type: 'm.id.user', user: 'bob' },
      password: 'correct horse',
    };
    await bob.ok('POST', '/account/deactivate', { auth });
    const answer = await log.clientOf(server).call('GET', `/account/whoami?user_id=${encode(bob.userId)}`);
    expect([answer.status, answer.body.errcode]).toEqual([403, 'M_USER_DEACTIVATED']);
  });

  it('sends as its users, once for a transaction', async () => {
    const room = await alice.createRoom({ preset: 'public_chat' });
    await bridge.ok('POST', `/join/${encode(room)}?user_id=${encode(ghost)}`, {});
    const path = `/rooms/${encode(room)}/send/m.room.message/once?user_id=${encode(ghost)}`;
    const { event_id: first } = await bridge.ok('PUT', path, { msgtype: 'm.text', body: 'hello' });
    expect((await bridge.ok('PUT', path, { msgtype: 'm.text', body: 'hello' })).event_id).toBe(first);
    expect((await alice.ok('GET', `/rooms/${encode(room)}/event/${encode(first)}`)).sender).toBe(ghost);
  });

  it('tells nobody by what it does that its users are there', async () => {
    const room = await alice.createRoom({ preset: 'public_chat' });
    await bridge.ok('POST', `/join/${encode(room)}?user_id=${encode(ghost)}`, {});
    await bridge.ok('PUT', `/rooms/${encode(room)}/send/m.room.message/a?user_id=${encode(ghost)}`, { body: 'x' });
    await server.settle();
    expect((await alice.getPresence(ghost)).body.presence).toBe('offline');
    await bridge.ok('PUT', `/presence/${encode(ghost)}/status?user_id=${encode(ghost)}`, { presence: 'online' });
    await server.settle();
    expect((await alice.getPresence(ghost)).body.presence).toBe('online');
  });

  it('syncs as its users', async () => {
    const answer = await bridge.ok('GET', `/sync?user_id=${encode(ghost)}&timeout=0`);
    expect(answer.next_batch).toEqual(expect.any(String));
  });
});

describe('a service whose namespace is everybody', () => {
  let admin: TestUser;
  const notices = (): string => `@_server:${server.name}`;
  const adminPath = '/_synapse/admin/v1/send_server_notice';
  const refusalOf = ({ status, body }: { status: number; body: { errcode: string; error: string } }) => [
    status,
    body.errcode,
    body.error,
  ];
  const asAdmin = [403, 'M_FORBIDDEN', 'An application service may not act as an administrator'];
  const asServer = [403, 'M_FORBIDDEN', 'No application service speaks for the server'];

  beforeAll(async () => {
    admin = await server.register('root');
    const { storage } = server.running.lantern;
    await storage.commit({ rows: [{ kind: 'account_admin', userId: admin.userId as UserId }] });
  });

  it('does not act as an administrator, in nothing at all, but as everybody else', async () => {
    const logger = log.clientOf(server);
    const as = (path: string, userId: string) => `${path}?user_id=${encode(userId)}`;
    expect(refusalOf(await logger.call('GET', as('/account/whoami', admin.userId)))).toEqual(asAdmin);
    const notice = { user_id: alice.userId, content: { msgtype: 'm.text', body: 'x' } };
    expect(refusalOf(await logger.call('POST', as(adminPath, admin.userId), notice))).toEqual(asAdmin);
    expect((await logger.call('POST', as(adminPath, alice.userId), notice)).status).toBe(403);
    expect((await logger.ok('GET', as('/account/whoami', alice.userId))).user_id).toBe(alice.userId);
  });

  it('does not sign an administrator in, but everybody else', async () => {
    const login = (user: string) =>
      log.clientOf(server).call('POST', '/login', { type: serviceLogin, identifier: { type: 'm.id.user', user } });
    expect(refusalOf(await login('root'))).toEqual(asAdmin);
    expect((await login('alice')).status).toBe(200);
  });

  it('does not speak for the server: not before the first notice, not afterwards, not by making the account', async () => {
    const logger = log.clientOf(server);
    const acting = () => logger.call('GET', `/account/whoami?user_id=${encode(notices())}`);
    const body = { type: serviceLogin, username: '_server', inhibit_login: true };
    expect(refusalOf(await acting())).toEqual(asServer);
    expect(refusalOf(await logger.call('POST', '/register', body))).toEqual(asServer);
    await admin.ok('POST', adminPath, { user_id: alice.userId, content: { msgtype: 'm.text', body: 'x' } });
    expect(refusalOf(await acting())).toEqual(asServer);
    const identifier = { type: 'm.id.user', user: '_server' };
    expect(refusalOf(await logger.call('POST', '/login', { type: serviceLogin, identifier }))).toEqual(asServer);
    expect(refusalOf(await logger.call('POST', '/register', body))).toEqual(asServer);
  });
});

describe('a device of a user of a service', () => {
  const as = (path: string, deviceId: string) => `${path}?user_id=${encode(ghost)}&device_id=${deviceId}`;
  const one = (deviceId: string) => `/devices/${deviceId}?user_id=${encode(ghost)}`;

  it('is made without a login, named, and acted with', async () => {
    expect((await bridge.call('PUT', one('PUPPET'), { display_name: 'Bridge' })).status).toBe(201);
    expect((await bridge.call('PUT', one('PUPPET'), {})).status).toBe(200);
    expect(await bridge.ok('GET', one('PUPPET'))).toMatchObject({ device_id: 'PUPPET', display_name: 'Bridge' });
    await bridge.ok('PUT', one('PUPPET'), { display_name: 'Other' });
    expect((await bridge.ok('GET', one('PUPPET'))).display_name).toBe('Other');
    expect((await bridge.ok('GET', as('/account/whoami', 'PUPPET'))).device_id).toBe('PUPPET');
    const older = `/account/whoami?user_id=${encode(ghost)}&org.matrix.msc3202.device_id=PUPPET`;
    expect((await bridge.ok('GET', older)).device_id).toBe('PUPPET');
  });

  it('is not made by a user, nor acted with where it is not there', async () => {
    const made = await alice.call('PUT', '/devices/PUPPET', { display_name: 'x' });
    expect([made.status, made.body.errcode]).toEqual([404, 'M_NOT_FOUND']);
    const used = await bridge.call('GET', as('/account/whoami', 'NOBODYS'));
    expect([used.status, used.body.errcode]).toEqual([400, 'M_UNKNOWN_DEVICE']);
    const senders = await bridge.call('GET', '/account/whoami?device_id=NOBODYS');
    expect([senders.status, senders.body.errcode]).toEqual([400, 'M_UNKNOWN_DEVICE']);
  });

  it('is needed for keys', async () => {
    await bridge.call('PUT', one('KEYS'), {});
    const without = await bridge.call('POST', `/keys/upload?user_id=${encode(ghost)}`, {});
    expect([without.status, without.body.errcode]).toEqual([400, 'M_MISSING_PARAM']);
    expect(await bridge.ok('POST', as('/keys/upload', 'KEYS'), {})).toHaveProperty('one_time_key_counts');
  });

  it('is removed without proving anything, as only a service may', async () => {
    await bridge.call('PUT', one('GONE'), {});
    await bridge.call('PUT', one('TOO'), {});
    await bridge.ok('DELETE', one('GONE'), {});
    await bridge.ok('POST', `/delete_devices?user_id=${encode(ghost)}`, { devices: ['TOO'] });
    expect((await bridge.ok('GET', `/devices?user_id=${encode(ghost)}`)).devices).toEqual([]);
    expect((await alice.call('DELETE', `/devices/${alice.deviceId}`, {})).status).toBe(401);
  });
});

describe('registration', () => {
  const refusal = async (user: TestUser, body: unknown) => {
    const answer = await user.call('POST', '/register', body);
    return [answer.status, answer.body.errcode];
  };
  const stranger = () => new TestUser(server.url);

  it('by a service gives a token where it is wanted', async () => {
    const made = await bridge.ok('POST', '/register', { type: serviceLogin, username: '_irc_token', device_id: 'D' });
    expect(made).toMatchObject({ user_id: `@_irc_token:${server.name}`, device_id: 'D' });
    const user = stranger();
    user.accessToken = made.access_token;
    expect((await user.ok('GET', '/account/whoami')).device_id).toBe('D');
  });

  it('by a service takes names of elsewhere as they are', async () => {
    const made = await bridge.ok('POST', '/register', {
      type: serviceLogin,
      username: '_irc_[Nick]|away',
      inhibit_login: true,
    });
    expect(made).toEqual({ user_id: `@_irc_[Nick]|away:${server.name}`, home_server: server.name });
  });

  it.each([
    ['a name that is taken', { username: '_irc_1' }, [400, 'M_USER_IN_USE']],
    ['its own sender', { username: '_irc_bot' }, [400, 'M_USER_IN_USE']],
    ['a name outside its namespace', { username: 'carol' }, [400, 'M_EXCLUSIVE']],
    ['a name with a colon', { username: '_irc_a:b' }, [400, 'M_INVALID_USERNAME']],
    ['a name with a space', { username: '_irc_a b' }, [400, 'M_INVALID_USERNAME']],
    ['no name', {}, [400, 'M_MISSING_PARAM']],
  ])('by a service is refused for %s', async (_what, body, expected) => {
    expect(await refusal(bridge, { type: serviceLogin, ...body })).toEqual(expected);
  });

  it('by a service is refused for what is exclusively of another, though its own namespace holds it too', async () => {
    const body = { type: serviceLogin, username: '_irc_x' };
    expect(await refusal(log.clientOf(server), body)).toEqual([400, 'M_EXCLUSIVE']);
    await log.clientOf(server).ok('POST', '/register', { type: serviceLogin, username: '_others_x' });
  });

  it('as a service needs the token of one', async () => {
    const body = { type: serviceLogin, username: '_irc_y' };
    expect(await refusal(stranger(), body)).toEqual([401, 'M_MISSING_TOKEN']);
    expect(await refusal(alice, body)).toEqual([401, 'M_UNKNOWN_TOKEN']);
  });

  it('by a person is refused for what is exclusively of a service, and only for that', async () => {
    const body = (username: string) => ({ username, password: 'secret', auth: { type: 'm.login.dummy' } });
    expect(await refusal(stranger(), body('_irc_z'))).toEqual([400, 'M_EXCLUSIVE']);
    expect(await refusal(stranger(), body('logger'))).not.toEqual([400, 'M_EXCLUSIVE']);
    expect(await refusal(stranger(), body('_other_z'))).toEqual([400, 'M_INVALID_USERNAME']);
    const available = await stranger().call('GET', '/register/available?username=_irc_z');
    expect([available.status, available.body.errcode]).toEqual([400, 'M_EXCLUSIVE']);
  });
});

describe('a login by a service', () => {
  const login = async (user: TestUser, identifier: unknown) => {
    const answer = await user.call('POST', '/login', { type: serviceLogin, identifier });
    return answer.status === 200 ? answer.body.user_id : [answer.status, answer.body.errcode];
  };

  it('is offered', async () => {
    expect((await alice.ok('GET', '/login')).flows).toContainEqual({ type: serviceLogin });
  });

  it('signs one of its users in', async () => {
    expect(await login(bridge, { type: 'm.id.user', user: ghost })).toBe(ghost);
    expect(await login(bridge, { type: 'm.id.user', user: `_irc_${ghosts}` })).toBe(ghost);
    expect(await login(log.clientOf(server), { type: 'm.id.user', user: 'Logger' })).toBe(`@Logger:${server.name}`);
  });

  it('is refused outside its namespace, for nobody, and without its token', async () => {
    const user = (name: string) => ({ type: 'm.id.user', user: name });
    expect(await login(bridge, user('alice'))).toEqual([400, 'M_EXCLUSIVE']);
    expect(await login(bridge, user('@_irc_1:there.example'))).toEqual([400, 'M_EXCLUSIVE']);
    expect(await login(bridge, user('_irc_nobody'))).toEqual([403, 'M_FORBIDDEN']);
    expect(await login(bridge, undefined)).toEqual([400, 'M_MISSING_PARAM']);
    expect(await login(new TestUser(server.url), user('_irc_1'))).toEqual([401, 'M_MISSING_TOKEN']);
    expect(await login(alice, user('_irc_1'))).toEqual([401, 'M_UNKNOWN_TOKEN']);
  });
});

describe('rate limits', () => {
  const limits = { enabled: true, registrations_per_minute: 1, messages_per_minute: 1, joins_per_minute: 100 };

  async function statuses(rateLimited: boolean) {
    const service = await TestService.start('fast', { rate_limited: rateLimited });
    const limited = await startServerWith([service], { rate_limits: limits });
    const client = service.clientOf(limited);
    const names = ['_fast_a', '_fast_b', '_fast_c'];
    const made = [];
    for (const username of names) {
      made.push((await client.call('POST', '/register', { type: serviceLogin, username, inhibit_login: true })).status);
    }
    const room = await client.createRoom({ preset: 'public_chat' });
    const user = `user_id=${encode(`@_fast_a:${limited.name}`)}`;
    await client.ok('POST', `/join/${encode(room)}?${user}`, {});
    const send = async (transactionId: string, query: string) =>
      (await client.call('PUT', `/rooms/${encode(room)}/send/a/${transactionId}${query}`, {})).status;
    const result = {
      made,
      sender: [await send('1', ''), await send('2', '')],
      user: [await send('1', `?${user}`), await send('2', `?${user}`)],
    };
    await limited.stop();
    await service.stop();
    return result;
  }

  it('bind the users of a service, and neither its sender nor the users it makes', async () => {
    expect(await statuses(true)).toEqual({ made: [200, 200, 200], sender: [200, 200], user: [200, 429] });
  });

  it('bind nobody of a service that is not limited', async () => {
    expect(await statuses(false)).toEqual({ made: [200, 200, 200], sender: [200, 200], user: [200, 200] });
  });
});

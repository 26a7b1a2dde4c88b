import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { TestService } from '../support/app-service.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { settle, TestServer } from '../support/server.ts';
import type { TestUser } from '../support/user.ts';

let irc: TestService;
let mute: TestService;
let here: TestServer;
let there: TestServer;
let alice: TestUser;
let carol: TestUser;
let bridge: TestUser;
let names = 0;

beforeAll(async () => {
  irc = await TestService.start('irc');
  mute = await TestService.start('mute', { url: null });
  const clock = new ManualClock();
  const files = [irc.file, mute.file];
  here = await TestServer.start({ clock, config: { app_service_config_files: files } });
  there = await TestServer.start({ clock });
  alice = await here.register('alice');
  carol = await there.register('carol');
  bridge = irc.clientOf(here);
});

afterEach(() => {
  irc.answer = () => ({ status: 200 });
  irc.take();
});

afterAll(async () => {
  await here.stop();
  await there.stop();
  await irc.stop();
  await mute.stop();
});

const encode = encodeURIComponent;
const newName = (): string => `_irc_${++names}`;
const noSuch = { status: 404, body: { errcode: 'M_NOT_FOUND' } };

/** The service makes the user, as the specification wants it, before it answers. */
function makesUsers(): void {
  irc.answer = async ({ path }) => {
    const username = decodeURIComponent(path.slice(path.lastIndexOf('/') + 1))
      .slice(1)
      .split(':')[0];
    await bridge.ok('POST', '/register', { type: 'm.login.application_service', username, inhibit_login: true });
    return { status: 200 };
  };
}

function makesAliases(roomId: string): void {
  irc.answer = async ({ path }) => {
    await bridge.ok('PUT', `/directory/room/${path.slice(path.lastIndexOf('/') + 1)}`, { room_id: roomId });
    return { status: 200 };
  };
}

describe('a service is asked for a user of its namespace who is not there', () => {
  it('when a user here looks at the profile', async () => {
    makesUsers();
    const userId = `@${newName()}:${here.name}`;
    expect((await alice.call('GET', `/profile/${encode(userId)}`)).status).toBe(200);
    expect(irc.take('/_matrix/app/v1/')).toEqual([
      {
        method: 'GET',
        path: `/_matrix/app/v1/users/${encode(userId)}`,
        authorization: `Bearer ${irc.hsToken}`,
        body: undefined,
      },
    ]);
    expect((await alice.call('GET', `/profile/${encode(userId)}`)).status).toBe(200);
    expect(irc.take('/_matrix/app/v1/users')).toEqual([]);
  });

  it('when another server asks', async () => {
    makesUsers();
    expect((await carol.call('GET', `/profile/${encode(`@${newName()}:${here.name}`)}`)).status).toBe(200);
  });

  it('when one is invited, here or from another server', async () => {
    makesUsers();
    const [first, second, third] = [newName(), newName(), newName()].map((name) => `@${name}:${here.name}`);
    const room = await alice.createRoom({ invite: [first] });
    await alice.invite(room, String(second));
    const remote = await carol.createRoom({});
    await carol.invite(remote, String(third));
    await settle(here, there);
    for (const userId of [first, second, third]) {
      const { rooms } = await bridge.ok('GET', `/sync?timeout=0&user_id=${encode(String(userId))}`);
      expect(Object.keys(rooms.invite)).toHaveLength(1);
    }
  });

  it('and nobody is there when it does not know them', async () => {
    irc.answer = () => noSuch;
    const answer = await alice.call('GET', `/profile/${encode(`@${newName()}:${here.name}`)}`);
    expect([answer.status, answer.body.errcode]).toEqual([404, 'M_NOT_FOUND']);
    expect(irc.take('/_matrix/app/v1/users')).toHaveLength(1);
  });

  it('and not for others', async () => {
    await alice.call('GET', `/profile/${encode(`@nobody:${here.name}`)}`);
    await alice.call('GET', `/profile/${encode(`@_irc_x:${there.name}`)}`);
    await alice.call('GET', `/profile/${encode(`@_mute_x:${here.name}`)}`);
    expect(irc.take('/_matrix/app/v1/users')).toEqual([]);
  });

  it('thrice, and then the answer is that it took too long', async () => {
    irc.answer = () => ({ status: 503 });
    const nextSecond = async () => {
      await here.clock.advance(1_000);
      return irc.requests.length;
    };
    const asked = alice.call('GET', `/profile/${encode(`@${newName()}:${here.name}`)}`);
    for (let calls = 1; calls <= 2; calls += 1) {
      await expect.poll(() => irc.requests.length, { interval: 1 }).toBe(calls);
      // The wait begins a moment after the answer was given.
      await expect.poll(nextSecond, { interval: 5 }).toBeGreaterThan(calls);
    }
    const answer = await asked;
    expect([answer.status, answer.body.errcode]).toEqual([408, 'M_UNKNOWN']);
    expect(irc.take('/_matrix/app/v1/users')).toHaveLength(3);
  });
});

describe('a service is asked for an alias of its namespace that is not there', () => {
  it('when a user here joins by it', async () => {
    const room = await alice.createRoom({ preset: 'public_chat' });
    makesAliases(room);
    const alias = `#${newName()}:${here.name}`;
    const bob = await here.register(`bob${names}`);
    expect((await bob.ok('POST', `/join/${encode(alias)}`, {})).room_id).toBe(room);
    expect(irc.take('/_matrix/app/v1/rooms').map(({ path }) => path)).toEqual([
      `/_matrix/app/v1/rooms/${encode(alias)}`,
    ]);
  });

  it('when another server asks', async () => {
    const room = await alice.createRoom({ preset: 'public_chat' });
    makesAliases(room);
    const answer = await carol.ok('GET', `/directory/room/${encode(`#${newName()}:${here.name}`)}`);
    expect(answer.room_id).toBe(room);
  });

  it('and there is none when it knows none', async () => {
    irc.answer = () => noSuch;
    const answer = await alice.call('GET', `/directory/room/${encode(`#${newName()}:${here.name}`)}`);
    expect([answer.status, answer.body.errcode]).toEqual([404, 'M_NOT_FOUND']);
  });
});

describe('an alias', () => {
  const refusal = ({ status, body }: { status: number; body: { errcode?: string } }) => [status, body.errcode];
  const reserved = [400, 'M_EXCLUSIVE'];

  it('of a service is made and removed by it, whether or not it is in the room', async () => {
    const room = await alice.createRoom();
    const path = `/directory/room/${encode(`#${newName()}:${here.name}`)}`;
    await bridge.ok('PUT', path, { room_id: room });
    expect(refusal(await alice.call('DELETE', path))).toEqual(reserved);
    await bridge.ok('DELETE', path);
    expect((await bridge.call('DELETE', path)).status).toBe(404);
  });

  it('of a service is made by nobody else, in a new room neither', async () => {
    const room = await alice.createRoom();
    const name = newName();
    const path = `/directory/room/${encode(`#${name}:${here.name}`)}`;
    expect(refusal(await alice.call('PUT', path, { room_id: room }))).toEqual(reserved);
    expect(refusal(await alice.call('POST', '/createRoom', { room_alias_name: name }))).toEqual(reserved);
    expect(refusal(await mute.clientOf(here).call('PUT', path, { room_id: room }))).toEqual(reserved);
    await bridge.ok('POST', '/createRoom', { room_alias_name: name });
  });

  it('of nobody is made by its members and not by a service', async () => {
    const room = await alice.createRoom();
    const path = `/directory/room/${encode(`#free${names}:${here.name}`)}`;
    expect(refusal(await bridge.call('PUT', path, { room_id: room }))).toEqual(reserved);
    expect(refusal(await bridge.call('POST', '/createRoom', { room_alias_name: `free${names}` }))).toEqual(reserved);
    await alice.ok('PUT', path, { room_id: room });
  });
});

describe('when an event was sent', () => {
  it('a service says, in messages and state', async () => {
    const room = await bridge.createRoom({ preset: 'public_chat' });
    const read = async (id: string) =>
      (await bridge.ok('GET', `/rooms/${encode(room)}/event/${encode(id)}`)).origin_server_ts;
    const path = `/rooms/${encode(room)}`;
    const message = await bridge.ok('PUT', `${path}/send/m.room.message/a?ts=1234`, { msgtype: 'm.text', body: 'x' });
    expect(await read(message.event_id)).toBe(1234);
    const state = await bridge.ok('PUT', `${path}/state/m.room.topic?ts=0`, { topic: 'x' });
    expect(await read(state.event_id)).toBe(0);
    const username = newName();
    await bridge.ok('POST', '/register', { type: 'm.login.application_service', username, inhibit_login: true });
    const ghost = encode(`@${username}:${here.name}`);
    const join = await bridge.ok('PUT', `${path}/state/m.room.member/${ghost}?ts=99&user_id=${ghost}`, {
      membership: 'join',
    });
    expect(await read(join.event_id)).toBe(99);
    const now = await bridge.ok('PUT', `${path}/send/m.room.message/b`, { msgtype: 'm.text', body: 'x' });
    expect(await read(now.event_id)).toBe(here.clock.now());
  });

  it('a service says also of memberships that take another server: invite, join, departure and knock', async () => {
    const username = newName();
    await bridge.ok('POST', '/register', { type: 'm.login.application_service', username, inhibit_login: true });
    const ghost = `@${username}:${here.name}`;
    const memberPath = (room: string, ts: number, asGhost: boolean, target = ghost) =>
      `/rooms/${encode(room)}/state/m.room.member/${encode(target)}?ts=${ts}${asGhost ? `&user_id=${encode(ghost)}` : ''}`;
    const sentAt = async (room: string, target = ghost) => {
      await settle(here, there);
      const state = await carol.ok('GET', `/rooms/${encode(room)}/state`);
      const found = state.find(
        (event: { type: string; state_key: string }) => event.type === 'm.room.member' && event.state_key === target,
      );
      return [found.content.membership, found.origin_server_ts];
    };
    const change = (room: string, membership: string, ts: number) =>
      bridge.ok('PUT', memberPath(room, ts, true), { membership });

    const refused = await carol.createRoom({ invite: [ghost] });
    await change(refused, 'leave', 11);
    expect(await sentAt(refused)).toEqual(['leave', 11]);

    const joined = await carol.createRoom({ invite: [ghost] });
    await change(joined, 'join', 12);
    expect(await sentAt(joined)).toEqual(['join', 12]);

    const rule = { type: 'm.room.join_rules', content: { join_rule: 'knock' } };
    const knocked = await carol.createRoom({ room_version: '11', initial_state: [rule] });
    await change(knocked, 'knock', 13);
    expect(await sentAt(knocked)).toEqual(['knock', 13]);

    const own = await bridge.createRoom();
    await bridge.ok('PUT', memberPath(own, 14, false, carol.userId), { membership: 'invite' });
    await settle(here, there);
    await carol.join(own, here.name);
    const invites = await carol.ok('GET', `/rooms/${encode(own)}/messages?dir=b&limit=100`);
    expect(
      invites.chunk.find(({ content }: { content: { membership?: string } }) => content.membership === 'invite'),
    ).toMatchObject({ state_key: carol.userId, origin_server_ts: 14 });
  });

  it('a user does not say so of a join through another server', async () => {
    const room = await carol.createRoom({ invite: [alice.userId] });
    await settle(here, there);
    const path = `/rooms/${encode(room)}/state/m.room.member/${encode(alice.userId)}`;
    await alice.ok('PUT', `${path}?ts=12`, { membership: 'join' });
    const joined = await alice.ok('GET', `${path}?format=event`);
    expect(joined.origin_server_ts).toBe(here.clock.now());
  });

  it.each(['-1', '1.5', 'now', '', '9007199254740992'])('is no time: %j', async (ts) => {
    const room = await bridge.createRoom();
    const answer = await bridge.call('PUT', `/rooms/${encode(room)}/send/a/b?ts=${ts}`, {});
    expect([answer.status, answer.body.errcode]).toEqual([400, 'M_INVALID_PARAM']);
  });

  it('no user says', async () => {
    const room = await alice.createRoom();
    const { event_id } = await alice.ok('PUT', `/rooms/${encode(room)}/send/a/b?ts=1234`, {});
    const event = await alice.ok('GET', `/rooms/${encode(room)}/event/${encode(event_id)}`);
    expect(event.origin_server_ts).toBe(here.clock.now());
  });
});

describe('the list of a network', () => {
  const listed = async (query: string) =>
    (await alice.ok('GET', `/publicRooms?${query}`)).chunk.map(({ room_id }: { room_id: string }) => room_id);
  const put = (user: TestUser, room: string, visibility: string) =>
    user.call('PUT', `/directory/list/appservice/net/${encode(room)}`, { visibility });

  it('is kept by its service, apart from the own list', async () => {
    const room = await alice.createRoom({ preset: 'public_chat' });
    expect((await put(bridge, room, 'public')).status).toBe(200);
    expect(await listed('third_party_instance_id=irc%7Cnet')).toEqual([room]);
    expect(await listed('include_all_networks=true')).toEqual([room]);
    expect(await listed('third_party_instance_id=mute%7Cnet')).toEqual([]);
    expect(await listed('')).toEqual([]);
    await put(bridge, room, 'private');
    expect(await listed('third_party_instance_id=irc%7Cnet')).toEqual([]);
    await put(bridge, room, 'public');
    await bridge.ok('DELETE', `/directory/list/appservice/net/${encode(room)}`);
    expect(await listed('include_all_networks=true')).toEqual([]);
  });

  it('shows no room that is not open', async () => {
    const room = await alice.createRoom();
    await put(bridge, room, 'public');
    expect(await listed('third_party_instance_id=irc%7Cnet')).toEqual([]);
  });

  it('is for services, and for rooms that are known', async () => {
    const room = await alice.createRoom({ preset: 'public_chat' });
    const refusal = async (answer: ReturnType<typeof put>) => [(await answer).status, (await answer).body.errcode];
    expect(await refusal(put(alice, room, 'public'))).toEqual([403, 'M_FORBIDDEN']);
    expect(await refusal(put(bridge, `!none:${here.name}`, 'public'))).toEqual([404, 'M_NOT_FOUND']);
    expect(await refusal(put(bridge, room, 'secret'))).toEqual([400, 'M_BAD_JSON']);
    expect(await refusal(alice.call('DELETE', `/directory/list/appservice/net/${encode(room)}`))).toEqual([
      403,
      'M_FORBIDDEN',
    ]);
  });
});

describe('a ping', () => {
  const ping = async (user: TestUser, id = 'irc') => {
    const answer = await user.call('POST', `/_matrix/client/v1/appservice/${id}/ping`, { transaction_id: 'meow' });
    return [answer.status, answer.body.errcode];
  };

  it('goes to the service, and how long it took is answered', async () => {
    const path = '/_matrix/client/v1/appservice/irc/ping';
    expect(await bridge.ok('POST', path, { transaction_id: 'meow' })).toEqual({ duration_ms: expect.any(Number) });
    expect(irc.take('/_matrix/app/v1/ping')).toMatchObject([
      { method: 'POST', body: { transaction_id: 'meow' }, authorization: `Bearer ${irc.hsToken}` },
    ]);
  });

  it('is for the service itself', async () => {
    expect(await ping(alice)).toEqual([403, 'M_FORBIDDEN']);
    expect(await ping(mute.clientOf(here))).toEqual([403, 'M_FORBIDDEN']);
    expect(await ping(bridge, 'nobody')).toEqual([403, 'M_FORBIDDEN']);
  });

  it('needs a place to go to', async () => {
    expect(await ping(mute.clientOf(here), 'mute')).toEqual([400, 'M_URL_NOT_SET']);
  });

  it('tells a bad answer', async () => {
    irc.answer = () => ({ status: 403, body: { errcode: 'M_FORBIDDEN' } });
    const answer = await bridge.call('POST', '/_matrix/client/v1/appservice/irc/ping', {});
    expect(answer.status).toBe(502);
    expect(answer.body).toMatchObject({ errcode: 'M_BAD_STATUS', status: 403, body: '{"errcode":"M_FORBIDDEN"}' });
  });

  it('tells that nobody is there, and that nobody answers', async () => {
    const gone = await TestService.start('gone');
    const server = await TestServer.start({ config: { app_service_config_files: [gone.file] } });
    const client = gone.clientOf(server);
    gone.answer = () => 'never';
    const asked = ping(client, 'gone');
    await expect.poll(() => gone.requests.length, { interval: 1 }).toBeGreaterThan(0);
    await server.clock.advance(30_000);
    expect(await asked).toEqual([504, 'M_CONNECTION_TIMEOUT']);
    await gone.stop();
    expect(await ping(client, 'gone')).toEqual([502, 'M_CONNECTION_FAILED']);
    await server.stop();
  });
});

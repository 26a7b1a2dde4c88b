import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { noKeys } from '../support/key-fixture.ts';
import { TestServer } from '../support/server.ts';
import { type Answer, TestUser } from '../support/user.ts';
import {
  bodiesOf,
  encode,
  inRoom,
  type Json,
  keysOf,
  membersOf,
  newUser,
  newUsers,
  nextTurn,
  poll,
  query,
  refusal,
  whileSyncing,
} from './rooms-support.ts';

let server: TestServer;
let alice: TestUser;
let bob: TestUser;

beforeAll(async () => {
  server = await TestServer.start({ config: { presence: { enabled: false } } });
});
afterAll(() => server.stop());
/** New ones for each test, so that what /sync tells is all of that test. */
beforeEach(async () => {
  [alice, bob] = await newUsers(server, 'alice', 'bob');
});

const filtered = (filter: unknown) => ({ filter: JSON.stringify(filter) });
const limited = (limit: number) => filtered({ room: { timeline: { limit } } });

describe('a long-poll', () => {
  it('is answered when something happens, at once and with just that', async () => {
    const roomId = await alice.createRoom({ preset: 'public_chat' });
    await bob.join(roomId);
    await bob.sync();
    const before = server.clock.monotonic();
    const { answer } = await poll(server, bob);
    await alice.say(roomId, 'wake up');
    expect(bodiesOf((await answer).rooms.join[roomId].timeline.events)).toEqual(['wake up']);
    expect(server.clock.monotonic()).toBe(before);
  });

  it('with something to tell does not wait', async () => {
    const roomId = await alice.createRoom();
    await alice.sync();
    await alice.say(roomId, 'x');
    expect((await alice.sync({ timeout: '30000' })).rooms.join[roomId]).toBeDefined();
    expect((await new TestUserOf(alice).sync({ timeout: '30000' })).rooms.join[roomId]).toBeDefined();
  });

  it('ends after its time with nothing and the same token', async () => {
    await alice.createRoom();
    const { next_batch: since } = await alice.sync();
    const { answer } = await poll(server, alice);
    let answered = false;
    void answer.then(() => {
      answered = true;
    });
    await server.clock.advance(29_000);
    expect(answered).toBe(false);
    await server.clock.advance(1_000);
    expect(await answer).toEqual({ next_batch: since, ...noKeys });
  });

  it('sleeps through what is none of its business', async () => {
    const roomId = await alice.createRoom({ preset: 'public_chat' });
    await bob.join(roomId);
    const { next_batch: since } = await bob.sync();
    const filter = filtered({ room: { timeline: { types: ['m.room.message'] }, state: { types: [] } } });
    await bob.sync({ since, ...filter });
    const { answer } = await poll(server, bob, filter);
    const other = await alice.createRoom();
    await alice.say(other, 'elsewhere');
    await alice.send(roomId, 'test.filtered', {});
    await server.settle();
    await server.clock.advance(30_000);
    expect(await answer).toEqual({ next_batch: since, ...noKeys });
  });

  it.each<[string, (roomId: string) => Promise<unknown>, (body: Json, roomId: string) => unknown]>([
    ['an invite', (r) => alice.invite(r, bob.userId), (body, r) => body.rooms.invite[r]],
    ['account data', () => bob.setAccountData('test.x', { a: 1 }), (body) => body.account_data.events[0]],
    ['a room of one’s own', () => bob.createRoom(), (body) => body.rooms.join],
  ])('is woken by %s', async (_, act, find) => {
    const roomId = await alice.createRoom();
    await bob.sync();
    const { answer } = await poll(server, bob);
    await act(roomId);
    expect(find(await answer, roomId)).toBeDefined();
  });

  it('is woken by typing, receipts, profile changes and by being kicked', async () => {
    const roomId = await alice.createRoom({ preset: 'public_chat' });
    await bob.join(roomId);
    const eventId = await alice.say(roomId, 'x');
    await bob.sync();
    const acts: [() => Promise<unknown>, (body: Json) => unknown][] = [
      [
        () => alice.ok('PUT', inRoom(roomId, 'typing', alice.userId), { typing: true, timeout: 10_000 }),
        ({ rooms }) => rooms.join[roomId].ephemeral.events[0].type === 'm.typing',
      ],
      [
        () => alice.ok('POST', inRoom(roomId, 'receipt', 'm.read', eventId), {}),
        ({ rooms }) => rooms.join[roomId].ephemeral.events[0].type === 'm.receipt',
      ],
      [
        () => alice.ok('PUT', `/profile/${alice.userId}/displayname`, { displayname: 'New' }),
        ({ rooms }) => rooms.join[roomId].timeline.events[0].content.displayname === 'New',
      ],
      [
        () => alice.ok('POST', inRoom(roomId, 'kick'), { user_id: bob.userId }),
        ({ rooms }) => rooms.leave[roomId].timeline.events[0].content.membership === 'leave',
      ],
    ];
    for (const [act, check] of acts) {
      const { answer } = await poll(server, bob);
      await act();
      expect(check(await answer)).toBe(true);
    }
  });

  it('is woken on every device, each with its own token', async () => {
    const phone = await bob.newDevice();
    const roomId = await bob.createRoom();
    await bob.sync();
    await phone.sync();
    const polls = [await poll(server, bob), await poll(server, phone), await poll(server, phone)];
    await bob.say(roomId, 'all');
    for (const body of await Promise.all(polls.map(({ answer }) => answer)))
      expect(body.rooms.join[roomId].timeline.events).toHaveLength(1);
  });

  it('of a device that is signed out ends at once, and goes on for the others of the user', async () => {
    const login = { type: 'm.login.password', identifier: { type: 'm.id.user', user: bob.userId } };
    const auth = { ...login, password: 'correct horse' };
    const signOuts: ((phone: TestUser) => Promise<unknown>)[] = [
      (phone) => bob.ok('DELETE', `/devices/${phone.deviceId}`, { auth }),
      (phone) => phone.ok('POST', '/logout', {}),
      (phone) => bob.ok('POST', '/login', { ...auth, device_id: phone.deviceId }),
      () => bob.ok('POST', '/account/password', { auth, new_password: 'correct horse' }),
    ];
    await bob.sync();
    const own = await poll(server, bob);
    for (const signOut of signOuts) {
      const phone = await bob.newDevice();
      await phone.sync();
      let waiting: Promise<Answer> | undefined;
      await whileSyncing(server, phone, () => {
        waiting = phone.call('GET', `/sync${query({ timeout: '30000', since: phone.since })}`);
      });
      await signOut(phone);
      const answer = await waiting;
      expect([answer?.status, answer?.body.errcode, answer?.body.soft_logout]).toEqual([401, 'M_UNKNOWN_TOKEN', false]);
    }
    await bob.createRoom();
    expect(Object.keys((await own.answer).rooms.join)).toHaveLength(1);
  });

  it('of all devices ends with the account', async () => {
    const phone = await bob.newDevice();
    await phone.sync();
    let waiting: Promise<Answer> | undefined;
    await whileSyncing(server, phone, () => {
      waiting = phone.call('GET', `/sync${query({ timeout: '30000', since: phone.since })}`);
    });
    await bob.ok('POST', '/logout/all', {});
    expect((await waiting)?.status).toBe(401);
  });

  it('lasts while its token is refreshed or ends by itself', async () => {
    const phone = new TestUser(server.url);
    phone.userId = bob.userId;
    const login = { type: 'm.login.password', user: bob.userId, password: 'correct horse', refresh_token: true };
    const signedIn = await phone.ok('POST', '/login', login);
    phone.accessToken = signedIn.access_token;
    await phone.sync();
    const { answer } = await poll(server, phone, { timeout: '300000' });
    const refreshed = await phone.ok('POST', '/refresh', { refresh_token: signedIn.refresh_token });
    phone.accessToken = refreshed.access_token;
    await phone.ok('GET', '/account/whoami');
    await server.clock.advance(299_000);
    await bob.createRoom();
    expect(Object.keys((await answer).rooms.join)).toHaveLength(1);
  });

  it('whose client went away leaves nobody behind', async () => {
    await bob.sync();
    const gone = new AbortController();
    let request: Promise<unknown> | undefined;
    await whileSyncing(server, bob, () => {
      request = fetch(`${server.url}/_matrix/client/v3/sync${query({ timeout: '30000', since: bob.since })}`, {
        headers: { authorization: `Bearer ${bob.accessToken}` },
        signal: gone.signal,
      });
    });
    const ended = vi.spyOn(server.running.lantern.roster, 'disconnect');
    gone.abort();
    await expect(request).rejects.toThrow();
    while (ended.mock.calls.length === 0) await nextTurn();
    expect((await bob.sync()).rooms).toBeUndefined();
  });
});

/** The same user and device without a memory of tokens. */
class TestUserOf extends TestUser {
  constructor(user: TestUser) {
    super(user.url);
    this.userId = user.userId;
    this.accessToken = user.accessToken;
    this.deviceId = user.deviceId;
  }
}

describe('an invite in /sync', () => {
  const invited = async (user: TestUser, roomId: string, parameters = {}): Promise<Json> =>
    (await user.sync(parameters)).rooms?.invite?.[roomId];

  it('has the stripped state of the room and the invite itself', async () => {
    const roomId = await alice.createRoom({
      name: 'Lounge',
      topic: 'Topic',
      room_alias_name: `inv${alice.userId.length}`,
    });
    await alice.setState(roomId, 'm.room.avatar', { url: 'mxc://a.test/x' });
    await alice.setState(roomId, 'm.room.encryption', { algorithm: 'm.megolm.v1.aes-sha2' });
    await alice.setState(roomId, 'test.secret', { a: 1 });
    await alice.say(roomId, 'secret');
    await alice.invite(roomId, bob.userId);
    const { invite_state: state } = await invited(bob, roomId);
    expect(keysOf(state.events).sort()).toEqual(
      [
        'm.room.avatar|',
        'm.room.canonical_alias|',
        'm.room.create|',
        'm.room.encryption|',
        'm.room.join_rules|',
        'm.room.name|',
        'm.room.topic|',
        `m.room.member|${alice.userId}`,
        `m.room.member|${bob.userId}`,
      ].sort(),
    );
    for (const event of state.events) {
      const more = event.type === 'm.room.create' ? ['origin_server_ts'] : [];
      expect(Object.keys(event).sort()).toEqual(['content', 'sender', 'state_key', 'type', ...more].sort());
    }
    const own = state.events.find((event: Json) => event.state_key === bob.userId);
    expect([own.sender, own.content.membership]).toEqual([alice.userId, 'invite']);
  });

  it('is told once in incremental syncs, and always in an initial one', async () => {
    await bob.sync();
    const roomId = await alice.createRoom({ invite: [bob.userId] });
    expect(await invited(bob, roomId)).toBeDefined();
    await alice.setState(roomId, 'm.room.name', { name: 'changed' });
    expect(await invited(bob, roomId)).toBeUndefined();
    expect(await invited(new TestUserOf(bob), roomId)).toBeDefined();
  });

  it('goes when it is accepted, rejected or withdrawn', async () => {
    const rooms = await Promise.all(Array.from({ length: 3 }, () => alice.createRoom({ invite: [bob.userId] })));
    const [accepted = '', rejected = '', withdrawn = ''] = rooms;
    await bob.sync();
    await bob.join(accepted);
    await bob.leave(rejected);
    await alice.ok('POST', inRoom(withdrawn, 'kick'), { user_id: bob.userId });
    const body = await bob.sync();
    expect(body.rooms.invite).toBeUndefined();
    expect(Object.keys(body.rooms.join)).toEqual([accepted]);
    expect(Object.keys(body.rooms.leave).sort()).toEqual([rejected, withdrawn].sort());
    const last = (roomId: string) => body.rooms.leave[roomId].timeline.events.at(-1);
    expect([last(rejected).sender, last(withdrawn).sender]).toEqual([bob.userId, alice.userId]);
    expect((await new TestUserOf(bob).sync()).rooms.invite).toBeUndefined();
  });

  it('that was rejected shows how it ended and nothing of the room', async () => {
    const visibility = { type: 'm.room.history_visibility', content: { history_visibility: 'joined' } };
    const roomId = await alice.createRoom({ invite: [bob.userId], initial_state: [visibility] });
    await bob.sync();
    await alice.say(roomId, 'secret');
    await bob.leave(roomId);
    const { timeline, state } = (await bob.sync()).rooms.leave[roomId];
    expect(membersOf(timeline.events)).toEqual([`${bob.userId}|leave`]);
    expect([timeline.events.length, state.events]).toEqual([1, []]);
  });

  it('from somebody who is ignored is not told, and is when they no longer are', async () => {
    await alice.setAccountData('m.ignored_user_list', { ignored_users: { [bob.userId]: {} } });
    const carol = await newUser(server, 'carol');
    const { next_batch: since } = await alice.sync();
    const hidden = await bob.createRoom({ invite: [alice.userId] });
    const shown = await carol.createRoom({ invite: [alice.userId] });
    for (const answer of [await alice.sync({ since }), await new TestUserOf(alice).sync()]) {
      expect(Object.keys(answer.rooms.invite)).toEqual([shown]);
    }
    await alice.setAccountData('m.ignored_user_list', { ignored_users: {} });
    expect((await new TestUserOf(alice).sync()).rooms.invite[hidden]).toBeDefined();
  });
});

describe('ignored users', () => {
  it('are silent in timelines, typing and receipts, but not in state', async () => {
    const roomId = await alice.createRoom({
      preset: 'public_chat',
      power_level_content_override: { state_default: 0 },
    });
    await bob.join(roomId);
    const eventId = await alice.say(roomId, 'mine');
    await alice.setAccountData('m.ignored_user_list', { ignored_users: { [bob.userId]: {} } });
    const { next_batch: since } = await alice.sync();
    await bob.say(roomId, 'noise');
    await bob.setState(roomId, 'm.room.topic', { topic: 'by bob' });
    await bob.ok('PUT', inRoom(roomId, 'typing', bob.userId), { typing: true });
    await bob.ok('POST', inRoom(roomId, 'receipt', 'm.read', eventId), {});
    const room = (await alice.sync({ since })).rooms.join[roomId];
    expect(room.timeline.events.map((event: Json) => event.type)).toEqual(['m.room.topic']);
    const told = JSON.stringify(room.ephemeral.events);
    expect(told).not.toContain(bob.userId);
    const others = (await bob.sync()).rooms.join[roomId];
    expect(bodiesOf(others.timeline.events)).toContain('noise');
  });

  it('do not wake a long-poll with what they say', async () => {
    const roomId = await alice.createRoom({ preset: 'public_chat' });
    await bob.join(roomId);
    await alice.setAccountData('m.ignored_user_list', { ignored_users: { [bob.userId]: {} } });
    const { next_batch: since } = await alice.sync();
    const { answer } = await poll(server, alice, { timeout: '10000' });
    await bob.say(roomId, 'noise');
    await server.settle();
    await server.clock.advance(10_000);
    expect((await answer).next_batch).toBe(since);
  });
});

describe('parameters of /sync', () => {
  it('full_state tells joined rooms whole, without waiting and without a long timeline', async () => {
    const roomId = await alice.createRoom({ name: 'Name' });
    await alice.sync();
    const body = await alice.sync({ full_state: 'true', timeout: '30000' });
    const room = body.rooms.join[roomId];
    expect(keysOf(room.state.events)).toEqual(expect.arrayContaining(['m.room.create|', 'm.room.name|']));
    expect([room.timeline.events, room.timeline.limited]).toEqual([[], false]);
    expect((await alice.sync({ full_state: 'false' })).rooms).toBeUndefined();
  });

  it('use_state_after tells the state at the end of the timeline, under another name', async () => {
    const roomId = await alice.createRoom({ name: 'First' });
    await alice.say(roomId, 'x');
    const { next_batch: since } = await alice.sync();
    await alice.setState(roomId, 'm.room.name', { name: 'Second' });
    for (const parameters of [{ since }, limited(1)]) {
      const room = (await new TestUserOf(alice).sync({ use_state_after: 'true', ...parameters })).rooms.join[roomId];
      expect(room.state).toBeUndefined();
      const name = room.state_after.events.find((event: Json) => event.type === 'm.room.name');
      expect(name.content).toEqual({ name: 'Second' });
      expect(room.timeline.events.at(-1).content).toEqual({ name: 'Second' });
    }
    const without = (await alice.sync({ since })).rooms.join[roomId];
    expect([without.state_after, without.state.events]).toEqual([undefined, []]);
  });

  it('since must be a token of this server', async () => {
    const { next_batch: since } = await alice.sync();
    const wrong = ['nonsense', '', since.replace(/^s1_\d+/, 's1_999999999999'), 's1', '12345'];
    for (const token of wrong) {
      const answer = await alice.call('GET', `/sync${query({ since: token, timeout: '0' })}`);
      expect([token, ...refusal(answer)]).toEqual([token, 400, 'M_INVALID_PARAM']);
    }
    expect((await alice.call('GET', `/sync?since=${encode(since)}`)).status).toBe(200);
  });

  it('the old path and a token in the query work', async () => {
    const roomId = await alice.createRoom();
    const old = await alice.call('GET', '/_matrix/client/r0/sync');
    expect(old.body.rooms.join[roomId]).toBeDefined();
    const response = await fetch(`${server.url}/_matrix/client/v3/sync?access_token=${alice.accessToken}`);
    expect(response.status).toBe(200);
  });
});

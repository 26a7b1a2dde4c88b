import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { TestServer } from '../support/server.ts';
import { TestUser } from '../support/user.ts';
import {
  encode,
  forbidden,
  getState,
  inRoom,
  type Json,
  newUser,
  newUsers,
  notFound,
  poll,
  refusal,
} from './rooms-support.ts';

/** Typing, receipts, markers, account data, tags and profiles as the devices of users see them. */
let server: TestServer;
let alice: TestUser;
let bob: TestUser;
let roomId: string;

beforeAll(async () => {
  server = await TestServer.start({ config: { presence: { enabled: false } } });
});
afterAll(() => server.stop());
beforeEach(async () => {
  [alice, bob] = await newUsers(server, 'alice', 'bob');
  roomId = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(roomId);
});

const ephemeral = async (user: TestUser, type: string, room = roomId): Promise<Json> => {
  const body = await user.sync();
  return body.rooms?.join?.[room]?.ephemeral.events.find((event: Json) => event.type === type);
};
const anew = (user: TestUser): TestUser => Object.assign(new TestUser(user.url), { accessToken: user.accessToken });

describe('typing', () => {
  const type = (user: TestUser, typing: boolean, timeout?: number, room = roomId) =>
    user.call('PUT', inRoom(room, 'typing', user.userId), { typing, ...(timeout === undefined ? {} : { timeout }) });
  const typists = async (user: TestUser): Promise<string[] | undefined> =>
    (await ephemeral(user, 'm.typing'))?.content.user_ids;

  it('is told to the members, once, until it ends', async () => {
    await bob.sync();
    expect((await type(alice, true, 10_000)).body).toEqual({});
    const event = await ephemeral(bob, 'm.typing');
    expect(event).toEqual({ type: 'm.typing', content: { user_ids: [alice.userId] } });
    expect(await typists(bob)).toBeUndefined();
    await type(alice, true, 10_000);
    expect(await typists(bob)).toBeUndefined();
    await type(alice, false);
    expect(await typists(bob)).toEqual([]);
    await type(alice, false);
    expect(await typists(bob)).toBeUndefined();
  });

  it('ends by itself after its time, and that wakes who waits', async () => {
    await type(alice, true, 5_000);
    await bob.sync();
    await server.clock.advance(4_000);
    expect(await typists(bob)).toBeUndefined();
    const { answer } = await poll(server, bob);
    await server.clock.advance(1_000);
    expect((await answer).rooms.join[roomId].ephemeral.events[0].content.user_ids).toEqual([]);
  });

  it('goes on while it is repeated', async () => {
    await type(alice, true, 5_000);
    await server.clock.advance(4_000);
    await type(alice, true, 5_000);
    await server.clock.advance(4_000);
    expect(await typists(bob)).toEqual([alice.userId]);
    await server.clock.advance(1_000);
    expect(await typists(bob)).toEqual([]);
  });

  it('lists everybody who types, in a first sync too', async () => {
    await type(alice, true);
    await type(bob, true);
    expect((await typists(bob))?.sort()).toEqual([alice.userId, bob.userId].sort());
    expect(await typists(anew(alice))).toHaveLength(2);
  });

  it('ends with the membership', async () => {
    await type(bob, true);
    await alice.sync();
    await bob.leave(roomId);
    expect(await typists(alice)).toEqual([]);
  });

  it('stays inside the room', async () => {
    const stranger = await newUser(server, 'stranger');
    await stranger.createRoom();
    const { next_batch: since } = await stranger.sync();
    await type(alice, true);
    expect((await stranger.sync()).next_batch).toBe(since);
    expect(refusal(await type(stranger, true))).toEqual(forbidden);
    expect(refusal(await type(alice, true, 1_000, `!none:${server.name}`))).toEqual(forbidden);
    const forged = await alice.call('PUT', inRoom(roomId, 'typing', bob.userId), { typing: true });
    expect(refusal(forged)).toEqual(forbidden);
  });
});

describe('a receipt', () => {
  const read = (user: TestUser, eventId: string, receiptType = 'm.read', body: unknown = {}) =>
    user.call('POST', inRoom(roomId, 'receipt', receiptType, eventId), body);

  it('is told to all members, with its time', async () => {
    const eventId = await alice.say(roomId, 'x');
    await alice.sync();
    expect(await read(bob, eventId)).toEqual({ status: 200, body: {} });
    const event = await ephemeral(alice, 'm.receipt');
    expect(event).toEqual({
      type: 'm.receipt',
      content: { [eventId]: { 'm.read': { [bob.userId]: { ts: server.clock.now() } } } },
    });
    await read(bob, eventId);
    expect(await ephemeral(alice, 'm.receipt')).toBeUndefined();
    expect(await ephemeral(anew(alice), 'm.receipt')).toEqual(event);
  });

  it('moves on: the old place is told no more', async () => {
    const [one, two] = [await alice.say(roomId, '1'), await alice.say(roomId, '2')];
    await read(bob, one);
    await read(bob, two);
    const { content } = await ephemeral(anew(alice), 'm.receipt');
    expect(Object.keys(content)).toEqual([two]);
  });

  it('that is private is told only to its owner', async () => {
    const eventId = await alice.say(roomId, 'x');
    await read(bob, eventId, 'm.read.private');
    expect(await ephemeral(alice, 'm.receipt')).toBeUndefined();
    const { content } = await ephemeral(bob, 'm.receipt');
    expect(Object.keys(content[eventId])).toEqual(['m.read.private']);
  });

  it('in a thread stands beside the one without', async () => {
    const root = await alice.say(roomId, 'root');
    const reply = await alice.send(roomId, 'm.room.message', {
      body: 'reply',
      'm.relates_to': { rel_type: 'm.thread', event_id: root },
    });
    expect((await read(bob, reply, 'm.read', { thread_id: root })).status).toBe(200);
    expect((await read(bob, root, 'm.read', { thread_id: 'main' })).status).toBe(200);
    const { content } = await ephemeral(alice, 'm.receipt');
    expect(content[reply]['m.read'][bob.userId].thread_id).toBe(root);
    expect(content[root]['m.read'][bob.userId].thread_id).toBe('main');
    expect(refusal(await read(bob, root, 'm.read', { thread_id: reply }))).toEqual([400, 'M_INVALID_PARAM']);
    expect(refusal(await read(bob, root, 'm.read', { thread_id: 7 }))).toEqual([400, 'M_INVALID_PARAM']);
  });

  it('is for members and for events of the room', async () => {
    const eventId = await alice.say(roomId, 'x');
    const stranger = await newUser(server, 'stranger');
    expect(refusal(await read(stranger, eventId))).toEqual(forbidden);
    expect(refusal(await read(bob, '$nothing'))).toEqual(notFound);
    expect(refusal(await read(bob, eventId, 'm.other'))).toEqual([400, 'M_INVALID_PARAM']);
    const other = await alice.createRoom();
    const elsewhere = await alice.say(other, 'x');
    expect(refusal(await read(alice, elsewhere))).toEqual(notFound);
  });

  it('and the marker are set together, or neither', async () => {
    const eventId = await alice.say(roomId, 'x');
    const markers = (body: unknown) => bob.call('POST', inRoom(roomId, 'read_markers'), body);
    const wrong = await markers({ 'm.fully_read': eventId, 'm.read': '$nothing' });
    expect(refusal(wrong)).toEqual(notFound);
    const path = `/user/${encode(bob.userId)}/rooms/${encode(roomId)}/account_data/m.fully_read`;
    expect(refusal(await bob.call('GET', path))).toEqual(notFound);
    await bob.sync();
    expect((await markers({ 'm.fully_read': eventId, 'm.read': eventId })).body).toEqual({});
    const room = (await bob.sync()).rooms.join[roomId];
    expect(room.account_data.events).toEqual([{ type: 'm.fully_read', content: { event_id: eventId } }]);
    expect(room.ephemeral.events[0].content[eventId]['m.read'][bob.userId]).toBeDefined();
    expect(await bob.ok('GET', path)).toEqual({ event_id: eventId });
    expect((await bob.call('PUT', path, { event_id: eventId })).status).toBe(405);
    expect((await read(bob, await alice.say(roomId, 'y'), 'm.fully_read')).status).toBe(200);
    expect((await alice.sync()).rooms.join[roomId].account_data.events).toEqual([]);
  });
});

describe('account data', () => {
  const inThisRoom = (user: TestUser, type: string) =>
    `/user/${encode(user.userId)}/rooms/${encode(roomId)}/account_data/${encode(type)}`;

  it('reaches every device of its owner and nobody else', async () => {
    const phone = await alice.newDevice();
    await phone.sync();
    const { next_batch: since } = await bob.sync();
    await alice.setAccountData('org.example.key', { a: 1 });
    await alice.ok('PUT', inThisRoom(alice, 'org.example.room'), { b: 2 });
    const body = await phone.sync();
    expect(body.account_data.events).toEqual([{ type: 'org.example.key', content: { a: 1 } }]);
    expect(body.rooms.join[roomId].account_data.events).toEqual([{ type: 'org.example.room', content: { b: 2 } }]);
    expect((await bob.sync()).next_batch).toBe(since);
  });

  it('is told once, and its newest version in a first sync', async () => {
    await alice.setAccountData('org.example.key', { n: 1 });
    await alice.sync();
    await alice.setAccountData('org.example.key', { n: 2 });
    await alice.setAccountData('org.example.key', { n: 3 });
    expect((await alice.sync()).account_data.events).toEqual([{ type: 'org.example.key', content: { n: 3 } }]);
    expect((await alice.sync()).account_data).toBeUndefined();
    const all = (await anew(alice).sync()).account_data.events;
    expect(all.filter((event: Json) => event.type === 'org.example.key')).toHaveLength(1);
  });

  it('of a room that is joined later comes with the room', async () => {
    const later = await bob.createRoom({ preset: 'public_chat' });
    const path = `/user/${encode(alice.userId)}/rooms/${encode(later)}/account_data/org.example`;
    await alice.sync();
    await alice.ok('PUT', path, { kept: true });
    await alice.sync();
    await alice.join(later);
    expect((await alice.sync()).rooms.join[later].account_data.events).toEqual([
      { type: 'org.example', content: { kept: true } },
    ]);
  });

  it('is read and written by its owner alone', async () => {
    await alice.setAccountData('org.example.key', { a: 1 });
    await alice.ok('PUT', inThisRoom(alice, 'org.example.room'), { b: 2 });
    for (const path of [
      `/user/${encode(alice.userId)}/account_data/org.example.key`,
      inThisRoom(alice, 'org.example.room'),
    ]) {
      expect(refusal(await bob.call('GET', path))).toEqual(forbidden);
      expect(refusal(await bob.call('PUT', path, {}))).toEqual(forbidden);
      expect((await alice.call('GET', path)).status).toBe(200);
    }
    expect(refusal(await alice.call('GET', inThisRoom(alice, 'other')))).toEqual(notFound);
  });
});

describe('tags', () => {
  const tags = (user: TestUser, tag = '') =>
    `/user/${encode(user.userId)}/rooms/${encode(roomId)}/tags${tag === '' ? '' : `/${encode(tag)}`}`;

  it('are set, listed and removed, and come in /sync as a whole', async () => {
    await alice.sync();
    await alice.ok('PUT', tags(alice, 'm.favourite'), { order: 0.25 });
    await alice.ok('PUT', tags(alice, 'u.wörk/1'), {});
    const all = { 'm.favourite': { order: 0.25 }, 'u.wörk/1': {} };
    expect(await alice.ok('GET', tags(alice))).toEqual({ tags: all });
    const told = (await alice.sync()).rooms.join[roomId].account_data.events;
    expect(told).toEqual([{ type: 'm.tag', content: { tags: all } }]);
    await alice.ok('DELETE', tags(alice, 'm.favourite'));
    expect(await alice.ok('GET', tags(alice))).toEqual({ tags: { 'u.wörk/1': {} } });
    expect((await alice.sync()).rooms.join[roomId].account_data.events[0].content.tags).toEqual({ 'u.wörk/1': {} });
    await alice.ok('DELETE', tags(alice, 'm.favourite'));
  });

  it('are one’s own', async () => {
    await alice.ok('PUT', tags(alice, 'm.favourite'), {});
    expect(refusal(await bob.call('GET', tags(alice)))).toEqual(forbidden);
    expect(refusal(await bob.call('PUT', tags(alice, 'x'), {}))).toEqual(forbidden);
    expect(refusal(await bob.call('DELETE', tags(alice, 'm.favourite')))).toEqual(forbidden);
    expect(await bob.ok('GET', tags(bob))).toEqual({ tags: {} });
    expect(refusal(await alice.call('PUT', tags(alice, 'x'), { order: 'first' }))).toEqual([400, 'M_BAD_JSON']);
  });
});

describe('a profile', () => {
  const setName = (user: TestUser, displayname: string | null) =>
    user.ok('PUT', `/profile/${encode(user.userId)}/displayname`, { displayname });

  it('changes the member events of all joined rooms, and of no other', async () => {
    const left = await bob.createRoom({ preset: 'public_chat' });
    await alice.join(left);
    await alice.leave(left);
    const invited = await bob.createRoom({ invite: [alice.userId] });
    const second = await alice.createRoom();
    await setName(alice, 'Alice');
    await server.settle();
    const memberIn = async (user: TestUser, room: string) =>
      (await getState(user, room, 'm.room.member', alice.userId)).body;
    expect(await memberIn(alice, roomId)).toEqual({ membership: 'join', displayname: 'Alice' });
    expect(await memberIn(alice, second)).toEqual({ membership: 'join', displayname: 'Alice' });
    expect(await memberIn(bob, left)).toEqual({ membership: 'leave' });
    expect(await memberIn(bob, invited)).toEqual({ membership: 'invite' });
    await alice.join(invited);
    expect(await memberIn(bob, invited)).toEqual({ membership: 'join', displayname: 'Alice' });
  });

  it('that is cleared is cleared in the rooms', async () => {
    await setName(alice, 'Alice');
    await server.settle();
    await setName(alice, null);
    await server.settle();
    expect((await getState(bob, roomId, 'm.room.member', alice.userId)).body).toEqual({ membership: 'join' });
    expect((await bob.ok('GET', inRoom(roomId, 'joined_members'))).joined[alice.userId]).toEqual({
      display_name: null,
      avatar_url: null,
    });
  });

  it('that changes often ends in the rooms as it ends', async () => {
    for (const name of ['A', 'B', 'C', 'D']) await setName(alice, name);
    await server.settle();
    expect((await getState(bob, roomId, 'm.room.member', alice.userId)).body.displayname).toBe('D');
    const { body } = await alice.call('GET', `/profile/${encode(alice.userId)}`);
    expect(body).toEqual({ displayname: 'D' });
  });

  it('reaches who is invited, and stands in the invite', async () => {
    const carol = await newUser(server, 'carol');
    await setName(carol, 'Carol');
    await alice.invite(roomId, carol.userId);
    expect((await getState(alice, roomId, 'm.room.member', carol.userId)).body).toEqual({
      membership: 'invite',
      displayname: 'Carol',
    });
  });

  it('does not undo what else the member event says', async () => {
    await alice.setState(roomId, 'm.room.member', { membership: 'join', 'org.example': 1 }, alice.userId);
    await setName(alice, 'Alice');
    await server.settle();
    expect((await getState(bob, roomId, 'm.room.member', alice.userId)).body).toEqual({
      membership: 'join',
      displayname: 'Alice',
      'org.example': 1,
    });
  });
});

describe('a device', () => {
  it('that is logged out is told so by its next call', async () => {
    const phone = await alice.newDevice();
    await phone.sync();
    await alice.ok('POST', '/logout/all', {});
    const answer = await phone.call('GET', `/sync?since=${encode(phone.since ?? '')}`);
    expect(refusal(answer)).toEqual([401, 'M_UNKNOWN_TOKEN']);
    expect(answer.body.soft_logout ?? false).toBe(false);
    expect(refusal(await alice.call('GET', '/account/whoami'))).toEqual([401, 'M_UNKNOWN_TOKEN']);
  });
});

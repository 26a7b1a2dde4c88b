import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestServer } from '../support/server.ts';
import type { TestUser } from '../support/user.ts';
import {
  bodiesOf,
  encode,
  forbidden,
  getState,
  inRoom,
  type Json,
  membersOf,
  messages,
  newUser,
  newUsers,
  query,
  refusal,
} from './rooms-support.ts';

let server: TestServer;
let alice: TestUser;
let bob: TestUser;
let carol: TestUser;

beforeAll(async () => {
  server = await TestServer.start();
  [alice, bob, carol] = await newUsers(server, 'alice', 'bob', 'carol');
});
afterAll(() => server.stop());

const visibility = (value: string) => [
  { type: 'm.room.history_visibility', state_key: '', content: { history_visibility: value } },
];
const createRoom = (value: string, more: Record<string, unknown> = {}): Promise<string> =>
  alice.createRoom({ preset: 'public_chat', initial_state: visibility(value), ...more });
const event = (user: TestUser, roomId: string, eventId: string) => user.call('GET', inRoom(roomId, 'event', eventId));
const context = (user: TestUser, roomId: string, eventId: string) =>
  user.call('GET', inRoom(roomId, 'context', eventId));

/** Which of the events the user gets, by each way there is to get one. */
async function seen(user: TestUser, roomId: string, eventIds: Readonly<Record<string, string>>): Promise<string[]> {
  const names: string[] = [];
  const chunk = (await user.call('GET', `${inRoom(roomId, 'messages')}?dir=b&limit=100`)).body.chunk ?? [];
  for (const [name, eventId] of Object.entries(eventIds)) {
    const [one, around] = [await event(user, roomId, eventId), await context(user, roomId, eventId)];
    const listed = chunk.some((entry: Json) => entry.event_id === eventId);
    // Whatever the answer is, every way gives the same.
    expect([name, one.status === 200, around.status === 200]).toEqual([name, listed, listed]);
    if (one.status !== 200) expect([404, 403]).toContain(one.status);
    if (listed) names.push(name);
  }
  return names;
}

describe('what a user sees of a room', () => {
  /** Messages before the invite, between invite and join, while joined, and after leaving. */
  async function story(value: string): Promise<{ roomId: string; ids: Record<string, string> }> {
    const roomId = await createRoom(value);
    const ids: Record<string, string> = {};
    ids.before = await alice.say(roomId, 'before');
    await alice.invite(roomId, bob.userId);
    ids.invited = await alice.say(roomId, 'invited');
    await bob.join(roomId);
    ids.joined = await alice.say(roomId, 'joined');
    return { roomId, ids };
  }

  it.each([
    ['joined', ['joined']],
    ['invited', ['invited', 'joined']],
    ['shared', ['before', 'invited', 'joined']],
    ['world_readable', ['before', 'invited', 'joined']],
    ['made_up', ['before', 'invited', 'joined']],
  ])('with visibility %s: as a member %j', async (value, expected) => {
    const { roomId, ids } = await story(value);
    expect(await seen(bob, roomId, ids)).toEqual(expected);
    expect(await seen(alice, roomId, ids)).toEqual(['before', 'invited', 'joined']);
  });

  it.each([
    ['joined', ['joined']],
    ['invited', ['invited', 'joined']],
    ['shared', ['before', 'invited', 'joined']],
    ['world_readable', ['before', 'invited', 'joined', 'left']],
  ])('with visibility %s: after leaving %j', async (value, expected) => {
    const { roomId, ids } = await story(value);
    await bob.leave(roomId);
    ids.left = await alice.say(roomId, 'left');
    expect(await seen(bob, roomId, ids)).toEqual(expected);
  });

  it.each([
    ['joined', ['joined', 'again']],
    ['invited', ['invited', 'joined', 'again']],
    ['shared', ['before', 'invited', 'joined', 'left', 'again']],
  ])('with visibility %s: after coming back %j', async (value, expected) => {
    const { roomId, ids } = await story(value);
    await bob.leave(roomId);
    ids.left = await alice.say(roomId, 'left');
    await bob.join(roomId);
    ids.again = await alice.say(roomId, 'again');
    expect(await seen(bob, roomId, ids)).toEqual(expected);
  });

  it.each(['joined', 'invited', 'shared'])('with visibility %s: nothing for a stranger', async (value) => {
    const { roomId, ids } = await story(value);
    expect(await seen(carol, roomId, ids)).toEqual([]);
    expect(refusal(await carol.call('GET', `${inRoom(roomId, 'messages')}?dir=b`))).toEqual(forbidden);
    expect(refusal(await carol.call('GET', inRoom(roomId, 'state')))).toEqual(forbidden);
  });

  it('with visibility world_readable: everything for a stranger, but no word', async () => {
    const { roomId, ids } = await story('world_readable');
    expect(await seen(carol, roomId, ids)).toEqual(['before', 'invited', 'joined']);
    expect((await carol.call('GET', inRoom(roomId, 'state'))).status).toBe(200);
    expect((await getState(carol, roomId, 'm.room.create')).status).toBe(200);
    expect(refusal(await carol.call('PUT', inRoom(roomId, 'send', 'm.room.message', 't'), {}))).toEqual(forbidden);
  });

  it('who is banned or kicked sees what they saw as a member, and how it ended', async () => {
    for (const action of ['kick', 'ban']) {
      const { roomId, ids } = await story('joined');
      await alice.ok('POST', inRoom(roomId, action), { user_id: bob.userId });
      ids.later = await alice.say(roomId, 'later');
      expect(await seen(bob, roomId, ids)).toEqual(['joined']);
      const { chunk } = await messages(bob, roomId);
      expect([chunk[0].state_key, chunk[0].content.membership]).toEqual([
        bob.userId,
        action === 'kick' ? 'leave' : 'ban',
      ]);
    }
  });

  it('invited only, who is shown the room by the visibility invited alone sees it once they join', async () => {
    const roomId = await createRoom('invited');
    await alice.invite(roomId, bob.userId);
    const eventId = await alice.say(roomId, 'invited');
    await bob.join(roomId);
    expect((await event(bob, roomId, eventId)).status).toBe(200);
  });
});

describe('a change of the visibility', () => {
  it('holds for what comes behind it, not for what was said before', async () => {
    const roomId = await createRoom('joined');
    const ids: Record<string, string> = { hidden: await alice.say(roomId, 'hidden') };
    ids.opening = await alice.setState(roomId, 'm.room.history_visibility', { history_visibility: 'world_readable' });
    ids.open = await alice.say(roomId, 'open');
    ids.closing = await alice.setState(roomId, 'm.room.history_visibility', { history_visibility: 'joined' });
    ids.closed = await alice.say(roomId, 'closed');
    await bob.join(roomId);
    // The change itself is shown to whoever may see one of its sides.
    expect(await seen(bob, roomId, ids)).toEqual(['opening', 'open', 'closing']);
  });

  it('to world_readable opens a room to strangers, and back closes it', async () => {
    const roomId = await createRoom('shared');
    const eventId = await alice.say(roomId, 'x');
    await alice.setState(roomId, 'm.room.history_visibility', { history_visibility: 'world_readable' });
    const open = await alice.say(roomId, 'open');
    expect((await event(carol, roomId, open)).status).toBe(200);
    expect((await event(carol, roomId, eventId)).status).toBe(404);
    await alice.setState(roomId, 'm.room.history_visibility', { history_visibility: 'shared' });
    expect(refusal(await carol.call('GET', `${inRoom(roomId, 'messages')}?dir=b`))).toEqual(forbidden);
    expect(refusal(await carol.call('GET', inRoom(roomId, 'state')))).toEqual(forbidden);
  });
});

describe('a room that was left', () => {
  let roomId: string;
  let since: string;
  let departure: string;

  beforeAll(async () => {
    roomId = await createRoom('joined', { name: 'before' });
    await bob.join(roomId);
    await alice.setState(roomId, 'test.state', { body: 'before' });
    await alice.say(roomId, 'one');
    await alice.say(roomId, 'two');
    since = (await bob.sync()).next_batch;
    await bob.leave(roomId);
    departure = (await bob.sync()).next_batch;
    await alice.setState(roomId, 'm.room.name', { name: 'after' });
    await alice.setState(roomId, 'test.state', { body: 'after' });
    await alice.setState(roomId, 'test.later', {});
    await alice.say(roomId, 'three');
    await carol.join(roomId);
  });

  it('has the state as it was when the user left, and the present for who stayed', async () => {
    expect((await getState(bob, roomId, 'm.room.name')).body).toEqual({ name: 'before' });
    expect((await getState(bob, roomId, 'test.state')).body).toEqual({ body: 'before' });
    expect((await getState(bob, roomId, 'test.later')).status).toBe(404);
    expect((await getState(alice, roomId, 'm.room.name')).body).toEqual({ name: 'after' });
    const state = await bob.ok('GET', inRoom(roomId, 'state'));
    expect(state.find((entry: Json) => entry.type === 'm.room.name').content).toEqual({ name: 'before' });
    expect(state.find((entry: Json) => entry.state_key === bob.userId).content).toEqual({ membership: 'leave' });
  });

  it('has the members of that time', async () => {
    const { chunk } = await bob.ok('GET', inRoom(roomId, 'members'));
    expect(membersOf(chunk)).toEqual([`${alice.userId}|join`, `${bob.userId}|leave`].sort());
    const at = await bob.ok('GET', `${inRoom(roomId, 'members')}?at=${encode((await alice.sync()).next_batch)}`);
    expect(membersOf(at.chunk)).toEqual([`${alice.userId}|join`, `${bob.userId}|leave`].sort());
    expect(refusal(await bob.call('GET', inRoom(roomId, 'joined_members')))).toEqual(forbidden);
  });

  it('has its messages up to there, whichever way they are asked for', async () => {
    const back = await messages(bob, roomId, { limit: '3' });
    expect(back.chunk[0]).toMatchObject({ type: 'm.room.member', state_key: bob.userId });
    expect(bodiesOf(back.chunk)).toEqual(['two', 'one']);
    const fromToken = await messages(bob, roomId, { limit: '3', from: departure });
    expect(fromToken.chunk.map((entry: Json) => entry.event_id)).toEqual(
      back.chunk.map((entry: Json) => entry.event_id),
    );
    const forward = await messages(bob, roomId, { dir: 'f', from: departure });
    expect(forward.chunk).toEqual([]);
    const whole = await messages(bob, roomId, { dir: 'f' });
    expect(bodiesOf(whole.chunk)).toEqual(['one', 'two']);
    const now = (await alice.sync()).next_batch;
    expect(bodiesOf((await messages(bob, roomId, { from: now })).chunk)).toEqual(['two', 'one']);
    expect(bodiesOf((await messages(bob, roomId, { dir: 'f', from: since })).chunk)).toEqual([]);
  });

  it('tells its end once the forward walk is over', async () => {
    const page = await messages(bob, roomId, { dir: 'f', from: departure, limit: '2' });
    expect(page.chunk).toEqual([]);
    const pages = [];
    for (let from: string | undefined = since, round = 0; from !== undefined && round < 10; round += 1) {
      const body: Json = await messages(bob, roomId, { dir: 'f', from, limit: '1' });
      pages.push(...body.chunk);
      from = body.end;
    }
    expect(pages.map((entry) => entry.content.membership)).toEqual(['leave']);
  });
});

describe('/members', () => {
  const members = (user: TestUser, roomId: string, parameters: Record<string, string> = {}) =>
    user.ok('GET', `${inRoom(roomId, 'members')}${query(parameters)}`);

  it('lists member events, chosen by membership', async () => {
    const roomId = await createRoom('shared', { invite: [carol.userId] });
    await bob.join(roomId);
    const dora = await newUser(server, 'dora');
    await alice.ok('POST', inRoom(roomId, 'ban'), { user_id: dora.userId });
    const all = (await members(alice, roomId)).chunk;
    expect(membersOf(all)).toEqual(
      [`${alice.userId}|join`, `${bob.userId}|join`, `${carol.userId}|invite`, `${dora.userId}|ban`].sort(),
    );
    for (const entry of all) expect([entry.room_id, entry.type]).toEqual([roomId, 'm.room.member']);
    const chosen = async (parameters: Record<string, string>) =>
      (await members(alice, roomId, parameters)).chunk.map((entry: Json) => entry.state_key).sort();
    expect(await chosen({ membership: 'join' })).toEqual([alice.userId, bob.userId].sort());
    expect(await chosen({ membership: 'invite' })).toEqual([carol.userId]);
    expect(await chosen({ membership: 'ban' })).toEqual([dora.userId]);
    expect(await chosen({ membership: 'leave' })).toEqual([]);
    expect(await chosen({ not_membership: 'join' })).toEqual([carol.userId, dora.userId].sort());
    const wrong = await alice.call('GET', `${inRoom(roomId, 'members')}?membership=friend`);
    expect(refusal(wrong)).toEqual([400, 'M_INVALID_PARAM']);
  });

  it('lists them as of a token of /sync or /messages', async () => {
    const roomId = await createRoom('shared');
    await alice.say(roomId, 'x');
    const { next_batch: at, rooms } = await alice.sync();
    const previous = rooms.join[roomId].timeline.prev_batch;
    await bob.join(roomId);
    const start = (await messages(alice, roomId, { limit: '1' })).end;
    await bob.leave(roomId);
    expect(membersOf((await members(alice, roomId, { at })).chunk)).toEqual([`${alice.userId}|join`]);
    // The timeline shows the room from its beginning.
    expect(membersOf((await members(alice, roomId, { at: previous })).chunk)).toEqual([`${alice.userId}|join`]);
    expect(membersOf((await members(alice, roomId, { at: start })).chunk)).toEqual([`${alice.userId}|join`]);
    const now = membersOf((await members(alice, roomId)).chunk);
    expect(now).toEqual([`${alice.userId}|join`, `${bob.userId}|leave`].sort());
    const wrong = await alice.call('GET', `${inRoom(roomId, 'members')}?at=nonsense`);
    expect(refusal(wrong)).toEqual([400, 'M_INVALID_PARAM']);
  });

  it('is for who is or was in the room', async () => {
    const roomId = await createRoom('shared');
    for (const path of ['members', 'joined_members']) {
      expect(refusal(await carol.call('GET', inRoom(roomId, path)))).toEqual(forbidden);
      expect(refusal(await carol.call('GET', inRoom(`!none:${server.name}`, path)))).toEqual(forbidden);
    }
    await alice.invite(roomId, carol.userId);
    expect(refusal(await carol.call('GET', inRoom(roomId, 'joined_members')))).toEqual(forbidden);
  });
});

describe('/joined_members and /joined_rooms', () => {
  it('name who is joined, with their profiles in the room', async () => {
    const dora = await newUser(server, 'dora');
    await dora.ok('PUT', `/profile/${dora.userId}/displayname`, { displayname: 'Dora' });
    const roomId = await dora.createRoom({ preset: 'public_chat', invite: [carol.userId] });
    await bob.join(roomId);
    expect((await dora.ok('GET', inRoom(roomId, 'joined_members'))).joined).toEqual({
      [dora.userId]: { display_name: 'Dora', avatar_url: null },
      [bob.userId]: { display_name: null, avatar_url: null },
    });
    await bob.leave(roomId);
    expect(Object.keys((await dora.ok('GET', inRoom(roomId, 'joined_members'))).joined)).toEqual([dora.userId]);
  });

  it('name the rooms that one is joined to, not those invited to or left', async () => {
    const dora = await newUser(server, 'dora');
    expect(await dora.ok('GET', '/joined_rooms')).toEqual({ joined_rooms: [] });
    const own = await dora.createRoom();
    const left = await createRoom('shared');
    await dora.join(left);
    await dora.leave(left);
    await alice.createRoom({ invite: [dora.userId] });
    expect(await dora.ok('GET', '/joined_rooms')).toEqual({ joined_rooms: [own] });
  });
});

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestServer } from '../support/server.ts';
import type { TestUser } from '../support/user.ts';
import { bodiesOf, inRoom, type Json, newUser, newUsers, query, refusal } from './rooms-support.ts';

let server: TestServer;
let alice: TestUser;
let bob: TestUser;

beforeAll(async () => {
  server = await TestServer.start();
  [alice, bob] = await newUsers(server, 'alice', 'bob');
});
afterAll(() => server.stop());

const call = (user: TestUser, criteria: Json, from?: string) =>
  user.call('POST', `/search${query({ next_batch: from })}`, { search_categories: { room_events: criteria } });
const search = async (user: TestUser, term: string, criteria: Json = {}, from?: string): Promise<Json> => {
  const answer = await call(user, { search_term: term, ...criteria }, from);
  expect(answer.status).toBe(200);
  return answer.body.search_categories.room_events;
};
const found = (answer: Json): string[] => answer.results.map(({ result }: Json) => result.content.body);

describe('searching', () => {
  it('finds messages, names and topics of the rooms that one is in', async () => {
    const room = await alice.createRoom({ preset: 'public_chat', name: 'Walrus house', topic: 'on the walrus' });
    await bob.join(room);
    await alice.say(room, 'A walrus, hello');
    await alice.say(room, 'hello');
    const answer = await search(bob, 'walrus');
    expect(answer.count).toBe(3);
    expect(answer.highlights).toEqual(['walrus']);
    const [first] = answer.results;
    expect(first.rank).toBeGreaterThan(0);
    expect(first.result).toMatchObject({ room_id: room, sender: alice.userId });
    expect(found(await search(bob, 'walrus', { keys: ['content.body'] }))).toEqual(['A walrus, hello']);
    expect(found(await search(bob, '"hello walrus"'))).toEqual([]);
    expect(found(await search(bob, 'hello walrus'))).toEqual(['A walrus, hello']);
  });

  it('says nothing of what the searcher may not see, not even how much there is', async () => {
    const room = await alice.createRoom({
      preset: 'public_chat',
      initial_state: [{ type: 'm.room.history_visibility', state_key: '', content: { history_visibility: 'joined' } }],
    });
    await alice.say(room, 'secret one');
    const carol = await newUser(server, 'carol');
    expect(await search(carol, 'secret')).toMatchObject({ count: 0, results: [] });
    await carol.join(room);
    expect(await search(carol, 'secret')).toMatchObject({ count: 0, results: [] });
    await alice.say(room, 'secret two');
    await carol.leave(room);
    await alice.say(room, 'secret three');
    const answer = await search(carol, 'secret');
    expect([answer.count, found(answer)]).toEqual([1, ['secret two']]);
    await carol.ok('POST', inRoom(room, 'forget'), {});
    expect((await search(carol, 'secret')).count).toBe(0);
    expect((await search(alice, 'secret')).count).toBe(3);
  });

  it('goes in pages that later messages do not move', async () => {
    const room = await alice.createRoom();
    for (let n = 1; n <= 5; n += 1) {
      await server.clock.advance(1);
      await alice.say(room, `penguin ${n}`);
    }
    const criteria = { order_by: 'recent', filter: { rooms: [room], limit: 2 } };
    const first = await search(alice, 'penguin', criteria);
    expect([first.count, found(first)]).toEqual([5, ['penguin 5', 'penguin 4']]);
    await server.clock.advance(1);
    await alice.say(room, 'penguin 6');
    const second = await search(alice, 'penguin', criteria, first.next_batch);
    expect(found(second)).toEqual(['penguin 3', 'penguin 2']);
    const third = await search(alice, 'penguin', criteria, second.next_batch);
    expect(found(third)).toEqual(['penguin 1']);
    expect(third.next_batch).toBeUndefined();
    expect(refusal(await call(alice, { search_term: 'penguin' }, 'x'))).toEqual([400, 'M_INVALID_PARAM']);
  });

  it('obeys its filter, and leaves out whom the searcher ignores', async () => {
    const room = await alice.createRoom({ preset: 'public_chat' });
    const dave = await newUser(server, 'dave');
    for (const user of [bob, dave]) await user.join(room);
    await alice.say(room, 'otter from alice');
    await bob.say(room, 'otter from bob');
    expect(found(await search(dave, 'otter', { filter: { senders: [bob.userId] } }))).toEqual(['otter from bob']);
    expect(found(await search(dave, 'otter', { filter: { not_rooms: [room] } }))).toEqual([]);
    await dave.setAccountData('m.ignored_user_list', { ignored_users: { [bob.userId]: {} } });
    expect(found(await search(dave, 'otter'))).toEqual(['otter from alice']);
  });

  it('tells what stands around a result, who said it, the state, and groups', async () => {
    const room = await alice.createRoom();
    for (let n = 1; n <= 7; n += 1) await alice.say(room, `number ${n}`);
    const answer = await search(alice, 'number 4', {
      order_by: 'recent',
      event_context: { before_limit: 2, after_limit: 1, include_profile: true },
      include_state: true,
      groupings: { group_by: [{ key: 'room_id' }, { key: 'sender' }] },
    });
    const [{ context, result }] = answer.results;
    expect(bodiesOf(context.events_before)).toEqual(['number 3', 'number 2']);
    expect(bodiesOf(context.events_after)).toEqual(['number 5']);
    expect(Object.keys(context.profile_info)).toEqual([alice.userId]);
    const page = await alice.ok(
      'GET',
      `${inRoom(room, 'messages')}${query({ dir: 'b', from: context.start, limit: '1' })}`,
    );
    expect(bodiesOf(page.chunk)).toEqual(['number 1']);
    expect(answer.state[room].map((event: Json) => event.type)).toContain('m.room.create');
    const group = { order: 1, results: [result.event_id] };
    expect(answer.groups).toEqual({ room_id: { [room]: group }, sender: { [alice.userId]: group } });
  });

  it('finds nothing of a redacted message', async () => {
    const room = await alice.createRoom();
    const eventId = await alice.say(room, 'zebra');
    expect((await search(alice, 'zebra')).count).toBe(1);
    await alice.ok('PUT', inRoom(room, 'redact', eventId, 'r'), {});
    expect((await search(alice, 'zebra')).count).toBe(0);
  });

  it('refuses what is no search', async () => {
    for (const criteria of [
      {},
      { search_term: 7 },
      { search_term: 'x', order_by: 'x' },
      { search_term: 'x', keys: ['x'] },
    ]) {
      expect((await call(alice, criteria)).status).toBe(400);
    }
    expect((await alice.call('POST', '/search', {})).status).toBe(400);
    expect((await alice.call('POST', '/search', { search_categories: {} })).body).toEqual({ search_categories: {} });
  });
});

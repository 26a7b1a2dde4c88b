import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { settle, startPair, TestServer } from '../support/server.ts';
import { TestUser } from '../support/user.ts';
import { encode, type Json, newUser, newUsers, refusal } from './rooms-support.ts';

let server: TestServer;
let other: TestServer;
beforeAll(async () => {
  [server, other] = await startPair();
});
afterAll(async () => {
  await server.stop();
  await other.stop();
});

async function listed(user: TestUser, body: Json = {}, query = ''): Promise<Json[]> {
  return (await user.ok('POST', `/publicRooms${query}`, body)).chunk;
}

describe('the public list of rooms', () => {
  it('shows a room that was created to be in it, with all that its state says', async () => {
    const alice = await newUser(server);
    const roomId = await alice.createRoom({
      visibility: 'public',
      room_alias_name: 'everything',
      name: 'un nom français',
      topic: 'un topic à la française',
      creation_content: { type: 'm.space' },
      initial_state: [
        { type: 'm.room.avatar', content: { url: 'mxc://a/b' } },
        { type: 'm.room.history_visibility', content: { history_visibility: 'world_readable' } },
      ],
    });
    const expected = {
      room_id: roomId,
      name: 'un nom français',
      topic: 'un topic à la française',
      canonical_alias: `#everything:${server.name}`,
      num_joined_members: 1,
      world_readable: true,
      guest_can_join: false,
      join_rule: 'public',
      avatar_url: 'mxc://a/b',
      room_type: 'm.space',
    };
    expect(await listed(alice, { filter: { generic_search_term: 'FRANCAIS' } })).toEqual([expected]);
    const { chunk } = await alice.ok('GET', '/publicRooms?limit=100');
    expect(chunk).toContainEqual(expected);
    expect(await alice.ok('GET', `/directory/list/room/${encode(roomId)}`)).toEqual({ visibility: 'public' });
  });

  it('says nothing of a room that was not put into it, and nothing more of one that was taken out', async () => {
    const [alice, bob] = await newUsers(server, 'alice', 'bob');
    const secret = await alice.createRoom({ preset: 'public_chat', name: 'unlisted-nook' });
    const shown = await alice.createRoom({ visibility: 'public', name: 'listed-nook' });
    const find = async () =>
      (await listed(bob, { filter: { generic_search_term: '-nook' } })).map(({ room_id: roomId }) => roomId);
    expect(await find()).toEqual([shown]);
    const path = (roomId: string) => `/directory/list/room/${encode(roomId)}`;
    expect(refusal(await bob.call('PUT', path(secret), { visibility: 'public' }))).toEqual([403, 'M_FORBIDDEN']);
    await alice.ok('PUT', path(secret), {});
    expect((await find()).sort()).toEqual([secret, shown].sort());
    await alice.ok('PUT', path(secret), { visibility: 'private' });
    await alice.ok('PUT', path(shown), { visibility: 'private' });
    expect(await find()).toEqual([]);
  });

  it('no longer shows a room that only the invited may enter', async () => {
    const alice = await newUser(server);
    const roomId = await alice.createRoom({ visibility: 'public', name: 'closing-time' });
    const find = () => listed(alice, { filter: { generic_search_term: 'closing-time' } });
    expect(await find()).toHaveLength(1);
    await alice.setState(roomId, 'm.room.join_rules', { join_rule: 'invite' });
    expect(await find()).toEqual([]);
    await alice.setState(roomId, 'm.room.join_rules', { join_rule: 'knock' });
    expect(await find()).toMatchObject([{ join_rule: 'knock' }]);
  });

  it('counts its members and is empty of rooms without any', async () => {
    const [alice, bob] = await newUsers(server, 'alice', 'bob');
    const roomId = await alice.createRoom({ visibility: 'public', name: 'counted-room' });
    const find = () => listed(alice, { filter: { generic_search_term: 'counted-room' } });
    await bob.join(roomId);
    expect(await find()).toMatchObject([{ num_joined_members: 2 }]);
    await alice.leave(roomId);
    expect(await find()).toMatchObject([{ num_joined_members: 1 }]);
    await bob.leave(roomId);
    expect(await find()).toEqual([]);
  });

  it('may be read by anybody, but asking another server takes an account', async () => {
    const nobody = new TestUser(server.url);
    expect((await nobody.call('GET', '/publicRooms')).status).toBe(200);
    expect((await nobody.call('GET', `/publicRooms?server=${encode(server.name)}`)).status).toBe(200);
    expect(refusal(await nobody.call('GET', `/publicRooms?server=${encode(other.name)}`))).toEqual([
      401,
      'M_MISSING_TOKEN',
    ]);
    expect(refusal(await nobody.call('POST', '/publicRooms', {}))).toEqual([401, 'M_MISSING_TOKEN']);
  });

  it.each([
    ['GET', '?limit=many'],
    ['GET', '?since=nonsense'],
    ['GET', '?server=not%20a%20server'],
    ['POST', '', { limit: 'many' }],
    ['POST', '', { filter: [] }],
    ['POST', '', { filter: { room_types: [1] } }],
    ['POST', '', { filter: { generic_search_term: {} } }],
    ['PUT', '/../directory/list/room/!a:b', { visibility: 'secret' }],
  ])('refuses %s /publicRooms%s with %j', async (method, query, body?: unknown) => {
    const user = await newUser(server);
    const path = query.startsWith('/..') ? query.slice(3) : `/publicRooms${query}`;
    expect((await user.call(method, path, body)).status).toBe(400);
  });

  it('of another server is asked of it, page by page', async () => {
    const [alice, carol] = [await newUser(server), await newUser(other)];
    const rooms = [];
    for (const name of ['far-one', 'far-two', 'far-three'])
      rooms.push(await carol.createRoom({ visibility: 'public', name }));
    await carol.createRoom({ preset: 'public_chat', name: 'far-secret' });
    await settle(server, other);
    const query = `?server=${encode(other.name)}`;
    const filter = { generic_search_term: 'far-', room_types: [null] };
    const first = await alice.ok('POST', `/publicRooms${query}`, { limit: 2, filter });
    const second = await alice.ok('POST', `/publicRooms${query}`, { limit: 2, filter, since: first.next_batch });
    expect([...first.chunk, ...second.chunk].map(({ room_id: roomId }: Json) => roomId)).toEqual(rooms);
    const whole = await alice.ok('GET', `/publicRooms${query}&limit=50`);
    expect(whole.chunk.map(({ name }: Json) => name).sort()).toEqual(['far-one', 'far-three', 'far-two']);
    expect(refusal(await alice.call('GET', '/publicRooms?server=127.0.0.1%3A1'))).toEqual([404, 'M_NOT_FOUND']);
  });
});

describe('where the administrator lets nobody publish', () => {
  it('no room is listed, and other servers learn nothing', async () => {
    const config = { rooms: { publishing: false, list_shown_to_servers: false } };
    const closed = await TestServer.start({ clock: server.clock, config });
    const [alice, carol] = [await newUser(server), await newUser(closed)];
    expect(refusal(await carol.call('POST', '/createRoom', { visibility: 'public' }))).toEqual([403, 'M_FORBIDDEN']);
    const roomId = await carol.createRoom({ preset: 'public_chat' });
    const path = `/directory/list/room/${encode(roomId)}`;
    expect(refusal(await carol.call('PUT', path, {}))).toEqual([403, 'M_FORBIDDEN']);
    expect(await carol.ok('PUT', path, { visibility: 'private' })).toEqual({});
    expect(refusal(await alice.call('GET', `/publicRooms?server=${encode(closed.name)}`))).toEqual([
      403,
      'M_FORBIDDEN',
    ]);
    await closed.stop();
  });
});

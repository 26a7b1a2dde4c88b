import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { TestServer } from '../support/server.ts';
import type { TestUser } from '../support/user.ts';
import { encode, forbidden, getState, inRoom, newUsers, notFound, refusal } from './rooms-support.ts';

let server: TestServer;
let alice: TestUser;
let bob: TestUser;
let stranger: TestUser;
let roomId: string;
let names = 0;

beforeAll(async () => {
  server = await TestServer.start();
  [alice, bob, stranger] = await newUsers(server, 'alice', 'bob', 'stranger');
});
afterAll(() => server.stop());
beforeEach(async () => {
  roomId = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(roomId);
});

/** An alias that no other test uses. */
const newAlias = (localpart = 'alias'): string => {
  names += 1;
  return `#${localpart}${names}:${server.name}`;
};
const path = (alias: string): string => `/directory/room/${encode(alias)}`;
const put = (user: TestUser, alias: string, room = roomId) => user.call('PUT', path(alias), { room_id: room });
const resolve = (alias: string, user = alice) => user.call('GET', path(alias));
const remove = (user: TestUser, alias: string) => user.call('DELETE', path(alias));
const setCanonical = (content: unknown, user = alice) =>
  user.call('PUT', inRoom(roomId, 'state', 'm.room.canonical_alias'), content);
const canonical = async () => (await getState(alice, roomId, 'm.room.canonical_alias')).body;
const givePower = async (level: number): Promise<void> => {
  const levels = (await getState(alice, roomId, 'm.room.power_levels')).body;
  await alice.setState(roomId, 'm.room.power_levels', { ...levels, users: { ...levels.users, [bob.userId]: level } });
};

describe('an alias', () => {
  it('leads to its room, for everybody, with or without a token', async () => {
    const alias = newAlias();
    expect(await put(alice, alias)).toEqual({ status: 200, body: {} });
    const found = { status: 200, body: { room_id: roomId, servers: [server.name] } };
    expect(await resolve(alias, stranger)).toEqual(found);
    const response = await fetch(`${server.url}/_matrix/client/v3${path(alias)}`);
    expect(await response.json()).toEqual(found.body);
  });

  it('may be of any characters but colon and NUL', async () => {
    for (const localpart of ['老虎Â£я🤨👉ඞ', 'with space', 'a/b?c#d%25', 'UPPER']) {
      const alias = newAlias(localpart);
      expect([alias, (await put(alice, alias)).status]).toEqual([alias, 200]);
      expect((await resolve(alias)).body.room_id).toBe(roomId);
    }
    expect((await resolve(newAlias('upper'))).status).toBe(404);
  });

  it('can be made by any member, and by nobody else', async () => {
    expect((await put(bob, newAlias())).status).toBe(200);
    expect(refusal(await put(stranger, newAlias()))).toEqual(forbidden);
    const alias = newAlias();
    const anonymous = await fetch(`${server.url}/_matrix/client/v3${path(alias)}`, { method: 'PUT', body: '{}' });
    expect(anonymous.status).toBe(401);
  });

  it('that exists cannot be made again, also not for the same room', async () => {
    const alias = newAlias();
    await put(alice, alias);
    const other = await bob.createRoom();
    expect((await put(alice, alias)).status).toBe(409);
    expect((await put(bob, alias, other)).status).toBe(409);
    expect((await resolve(alias)).body.room_id).toBe(roomId);
  });

  it('cannot be made on another server, nor lead to nothing', async () => {
    expect((await put(alice, '#alias:elsewhere.test')).status).toBe(400);
    expect((await put(alice, newAlias(), `!none:${server.name}`)).status).toBe(403);
    expect(refusal(await alice.call('PUT', path(newAlias()), {}))).toEqual([400, 'M_MISSING_PARAM']);
    expect(refusal(await alice.call('PUT', path(newAlias()), { room_id: 'room' }))).toEqual([400, 'M_BAD_JSON']);
    expect(refusal(await alice.call('PUT', path('alias'), { room_id: roomId }))).toEqual([400, 'M_INVALID_PARAM']);
    expect(refusal(await resolve('alias'))).toEqual([400, 'M_INVALID_PARAM']);
  });

  it('that does not exist is not found', async () => {
    expect(refusal(await resolve(newAlias()))).toEqual(notFound);
    expect(refusal(await remove(alice, newAlias()))).toEqual(notFound);
  });

  it('is listed in its room, for members', async () => {
    const [first, second] = [newAlias(), newAlias()];
    const list = inRoom(roomId, 'aliases');
    expect(await alice.ok('GET', list)).toEqual({ aliases: [] });
    await put(alice, first);
    await put(bob, second);
    expect((await bob.ok('GET', list)).aliases.sort()).toEqual([first, second].sort());
    expect(refusal(await stranger.call('GET', list))).toEqual(forbidden);
    expect(refusal(await alice.call('GET', inRoom(`!none:${server.name}`, 'aliases')))).toEqual(forbidden);
    await bob.leave(roomId);
    expect(refusal(await bob.call('GET', list))).toEqual(forbidden);
    await alice.setState(roomId, 'm.room.history_visibility', { history_visibility: 'world_readable' });
    for (const user of [stranger, bob]) expect((await user.ok('GET', list)).aliases).toHaveLength(2);
  });
});

describe('removing an alias', () => {
  it('is for whoever made it, without power', async () => {
    const alias = newAlias();
    await put(bob, alias);
    expect(await remove(bob, alias)).toEqual({ status: 200, body: {} });
    expect(refusal(await resolve(alias))).toEqual(notFound);
    expect((await put(alice, alias)).status).toBe(200);
  });

  it('of somebody else takes the power to set the canonical alias', async () => {
    const alias = newAlias();
    await put(alice, alias);
    expect(refusal(await remove(bob, alias))).toEqual(forbidden);
    expect(refusal(await remove(stranger, alias))).toEqual(forbidden);
    expect((await resolve(alias)).status).toBe(200);
    await givePower(50);
    expect((await remove(bob, alias)).status).toBe(200);
  });

  it('takes it out of the canonical alias, where the user may', async () => {
    const [main, other] = [newAlias(), newAlias()];
    await put(alice, main);
    await put(alice, other);
    await setCanonical({ alias: main, alt_aliases: [other, main], 'test.kept': 1 });
    await remove(alice, main);
    expect(await canonical()).toEqual({ alt_aliases: [other], 'test.kept': 1 });
    await remove(alice, other);
    expect(await canonical()).toEqual({ 'test.kept': 1 });
  });

  it('leaves the canonical alias empty when it held nothing else', async () => {
    const alias = newAlias();
    await put(alice, alias);
    await setCanonical({ alias });
    await remove(alice, alias);
    expect(await canonical()).toEqual({});
  });

  it('works without the power over the canonical alias, which then stays', async () => {
    const alias = newAlias();
    await put(bob, alias);
    await setCanonical({ alias });
    expect((await remove(bob, alias)).status).toBe(200);
    expect(await canonical()).toEqual({ alias });
    expect((await resolve(alias)).status).toBe(404);
  });
});

describe('the canonical alias', () => {
  it('may name aliases that lead to the room', async () => {
    const [main, other] = [newAlias(), newAlias()];
    await put(alice, main);
    await put(bob, other);
    expect((await setCanonical({ alias: main, alt_aliases: [other] })).status).toBe(200);
    expect(await canonical()).toEqual({ alias: main, alt_aliases: [other] });
    expect((await setCanonical({ alt_aliases: [main, other] })).status).toBe(200);
  });

  it('may be none', async () => {
    for (const content of [{}, { alias: '' }, { alias: null }, { alt_aliases: [] }]) {
      expect([content, (await setCanonical(content)).status]).toEqual([content, 200]);
    }
  });

  it('is refused when it leads nowhere or to another room', async () => {
    const [main, elsewhere] = [newAlias(), newAlias()];
    await put(alice, main);
    const other = await alice.createRoom();
    await put(alice, elsewhere, other);
    const refused = [400, 'M_BAD_ALIAS'];
    expect(refusal(await setCanonical({ alias: newAlias() }))).toEqual(refused);
    expect(refusal(await setCanonical({ alias: elsewhere }))).toEqual(refused);
    expect(refusal(await setCanonical({ alias: main, alt_aliases: [newAlias()] }))).toEqual(refused);
    expect(refusal(await setCanonical({ alias: main, alt_aliases: [main, elsewhere] }))).toEqual(refused);
    expect((await getState(alice, roomId, 'm.room.canonical_alias')).status).toBe(404);
  });

  it('is refused when it is no alias', async () => {
    const main = newAlias();
    await put(alice, main);
    for (const alias of ['%lounge:here.test', 'lounge', '#lounge', '@bob:here.test']) {
      expect([alias, ...refusal(await setCanonical({ alias }))]).toEqual([alias, 400, 'M_INVALID_PARAM']);
      const answer = await setCanonical({ alias: main, alt_aliases: [alias] });
      expect([alias, ...refusal(answer)]).toEqual([alias, 400, 'M_INVALID_PARAM']);
    }
    for (const content of [{ alias: 7 }, { alt_aliases: main }, { alt_aliases: [7] }, { alias: [main] }]) {
      expect([content, ...refusal(await setCanonical(content))]).toEqual([content, 400, 'M_BAD_JSON']);
    }
  });

  it('keeps an alias that was removed meanwhile, but does not take it up again', async () => {
    const [main, other] = [newAlias(), newAlias()];
    await put(bob, main);
    await put(alice, other);
    await setCanonical({ alias: main });
    await remove(bob, main);
    expect((await setCanonical({ alias: main, alt_aliases: [other] })).status).toBe(200);
    expect((await setCanonical({ alias: other })).status).toBe(200);
    expect(refusal(await setCanonical({ alias: main }))).toEqual([400, 'M_BAD_ALIAS']);
  });

  it('is set by who has the power, and only under the empty key is it one', async () => {
    const alias = newAlias();
    await put(alice, alias);
    expect(refusal(await setCanonical({ alias }, bob))).toEqual(forbidden);
    const other = await alice.call('PUT', inRoom(roomId, 'state', 'm.room.canonical_alias', 'key'), { alias: 'x' });
    expect(other.status).toBe(200);
  });
});

describe('the public list', () => {
  const listed = (user: TestUser, room = roomId) => user.call('GET', `/directory/list/room/${encode(room)}`);
  const list = (user: TestUser, visibility: unknown, room = roomId) =>
    user.call('PUT', `/directory/list/room/${encode(room)}`, { visibility });

  it('has a room while somebody with the power says so', async () => {
    expect((await listed(bob)).body).toEqual({ visibility: 'private' });
    expect((await list(alice, 'public')).status).toBe(200);
    expect((await listed(bob)).body).toEqual({ visibility: 'public' });
    expect((await list(alice, 'private')).status).toBe(200);
    expect((await listed(bob)).body).toEqual({ visibility: 'private' });
    expect((await alice.call('PUT', `/directory/list/room/${encode(roomId)}`, {})).status).toBe(200);
    expect((await listed(bob)).body).toEqual({ visibility: 'public' });
  });

  it('is closed to the others, and to other words', async () => {
    expect(refusal(await list(bob, 'public'))).toEqual(forbidden);
    expect(refusal(await list(stranger, 'public'))).toEqual(forbidden);
    expect(refusal(await list(alice, 'hidden'))).toEqual([400, 'M_BAD_JSON']);
    expect((await listed(bob)).body).toEqual({ visibility: 'private' });
  });

  it('knows no rooms that do not exist', async () => {
    expect(refusal(await listed(alice, `!none:${server.name}`))).toEqual(notFound);
    expect(refusal(await list(alice, 'public', `!none:${server.name}`))).toEqual(notFound);
  });
});

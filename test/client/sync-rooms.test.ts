import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { TestServer } from '../support/server.ts';
import { TestUser } from '../support/user.ts';
import {
  bodiesOf,
  getState,
  idsOf,
  inRoom,
  type Json,
  keysOf,
  membersOf,
  messages,
  newUser,
  newUsers,
  poll,
} from './rooms-support.ts';

/** Left rooms, filters and lazily loaded members in /sync. */
let server: TestServer;
let alice: TestUser;
let bob: TestUser;

beforeAll(async () => {
  server = await TestServer.start({ config: { presence: { enabled: false } } });
});
afterAll(() => server.stop());
beforeEach(async () => {
  [alice, bob] = await newUsers(server, 'alice', 'bob');
});

const filtered = (filter: unknown) => ({ filter: JSON.stringify(filter) });
const withLeft = filtered({ room: { include_leave: true } });
/** The answer to a first sync, whatever was told before. */
const initial = (user: TestUser, parameters = {}): Promise<Json> =>
  Object.assign(new TestUser(user.url), { accessToken: user.accessToken }).sync(parameters);

describe('a room that was left', () => {
  it('is told once in the section leave, with the departure', async () => {
    const roomId = await alice.createRoom({ preset: 'public_chat' });
    await bob.join(roomId);
    await bob.sync();
    await bob.leave(roomId);
    const body = await bob.sync();
    expect([Object.keys(body.rooms), Object.keys(body.rooms.leave)]).toEqual([['leave'], [roomId]]);
    const room = body.rooms.leave[roomId];
    expect(membersOf(room.timeline.events)).toEqual([`${bob.userId}|leave`]);
    expect([room.timeline.limited, room.state.events]).toEqual([false, []]);
    expect(room.ephemeral).toBeUndefined();
    await alice.say(roomId, 'later');
    expect((await bob.sync()).rooms).toBeUndefined();
    expect((await bob.sync(withLeft)).rooms).toBeUndefined();
  });

  it('is in an initial or full sync only if the filter asks for it', async () => {
    const roomId = await alice.createRoom({ preset: 'public_chat' });
    await bob.join(roomId);
    await bob.leave(roomId);
    const { next_batch: since } = await bob.sync();
    await alice.setState(roomId, 'm.room.name', { name: 'later' });
    await alice.say(roomId, 'later');
    expect((await initial(bob)).rooms?.leave).toBeUndefined();
    const room = (await initial(bob, withLeft)).rooms.leave[roomId];
    expect(membersOf(room.timeline.events).at(-1)).toBe(`${bob.userId}|leave`);
    expect(JSON.stringify(room)).not.toContain('later');
    expect((await bob.sync({ since, full_state: 'true' })).rooms?.leave).toBeUndefined();
  });

  it('is in a full sync from before the departure', async () => {
    const roomId = await alice.createRoom();
    const { next_batch: since } = await alice.sync(withLeft);
    await alice.leave(roomId);
    const body = await alice.sync({ since, full_state: 'true', ...withLeft });
    const room = body.rooms.leave[roomId];
    expect(membersOf(room.timeline.events)).toEqual([`${alice.userId}|leave`]);
    expect(keysOf(room.state.events)).toContain('m.room.create|');
  });

  it('shows what the visibility allows and the own departure always', async () => {
    const joined = { type: 'm.room.history_visibility', content: { history_visibility: 'joined' } };
    const roomId = await alice.createRoom({ preset: 'public_chat', initial_state: [joined] });
    await bob.join(roomId);
    await bob.sync();
    await alice.say(roomId, 'before');
    await bob.leave(roomId);
    await alice.say(roomId, 'after');
    const { timeline } = (await bob.sync()).rooms.leave[roomId];
    expect(bodiesOf(timeline.events)).toEqual(['before']);
    expect(membersOf(timeline.events)).toEqual([`${bob.userId}|leave`]);
  });

  it.each(['kick', 'ban'])('after a %s is told with who did it and why', async (action) => {
    const roomId = await alice.createRoom({ preset: 'public_chat' });
    await bob.join(roomId);
    await bob.sync();
    await alice.ok('POST', inRoom(roomId, action), { user_id: bob.userId, reason: 'noise' });
    await alice.say(roomId, 'after');
    const { timeline } = (await bob.sync()).rooms.leave[roomId];
    expect(timeline.events).toHaveLength(1);
    expect(timeline.events[0]).toMatchObject({ sender: alice.userId, content: { reason: 'noise' } });
    expect((await initial(bob, withLeft)).rooms.leave[roomId]).toBeDefined();
  });

  it('is found although much happened elsewhere', async () => {
    const [left, busy] = [await alice.createRoom(), await alice.createRoom()];
    const gappy = filtered({ room: { timeline: { limit: 1 }, include_leave: true } });
    await alice.sync(gappy);
    await alice.leave(left);
    for (let n = 0; n < 20; n += 1) await alice.say(busy, `m${n}`);
    const body = await alice.sync(gappy);
    expect(body.rooms.leave[left]).toBeDefined();
    expect(body.rooms.join[busy].timeline).toMatchObject({ limited: true, events: [{ content: { body: 'm19' } }] });
  });

  it('that was joined and left since the last sync is told as left, with its stay', async () => {
    const roomId = await alice.createRoom({ preset: 'public_chat' });
    await bob.sync();
    await bob.join(roomId);
    await alice.say(roomId, 'hello');
    await bob.leave(roomId);
    const body = await bob.sync();
    expect(body.rooms.join).toBeUndefined();
    expect(bodiesOf(body.rooms.leave[roomId].timeline.events)).toEqual(['hello']);
  });

  it('and forgotten is not told any more, but a device that knew it learns of the departure', async () => {
    const roomId = await alice.createRoom({ preset: 'public_chat' });
    await bob.join(roomId);
    const { next_batch: since } = await bob.sync();
    await bob.leave(roomId);
    await bob.ok('POST', inRoom(roomId, 'forget'), {});
    await alice.say(roomId, 'later');
    const rooms = (await initial(bob, withLeft)).rooms ?? {};
    expect([rooms.leave, rooms.join, rooms.invite]).toEqual([undefined, undefined, undefined]);
    expect((await bob.sync({ since, ...withLeft })).rooms.leave[roomId]).toBeDefined();
  });

  it('obeys the filters of timeline and state', async () => {
    const roomId = await alice.createRoom({ preset: 'public_chat' });
    await bob.join(roomId);
    const filter = filtered({
      room: {
        timeline: { types: ['m.room.message', 'test.state'] },
        state: { types: ['test.state'] },
        include_leave: true,
      },
    });
    const { next_batch: since } = await bob.sync(filter);
    await alice.say(roomId, 'before');
    await alice.setState(roomId, 'test.state', { key: 'before' });
    await bob.leave(roomId);
    await alice.say(roomId, 'after');
    await alice.setState(roomId, 'test.state', { key: 'after' });
    for (const answer of [await initial(bob, filter), await bob.sync({ since, ...filter })]) {
      const room = answer.rooms.leave[roomId];
      expect(room.state.events).toEqual([]);
      expect(room.timeline.events.map((event: Json) => event.type)).toEqual(['m.room.message', 'test.state']);
      expect(room.timeline.events[1].content).toEqual({ key: 'before' });
    }
  });

  it('with an empty timeline has its state at the departure in the state', async () => {
    const roomId = await alice.createRoom({ preset: 'public_chat' });
    await bob.join(roomId);
    const { next_batch: since } = await bob.sync();
    await alice.setState(roomId, 'test.state', { key: 'before' });
    await bob.leave(roomId);
    await alice.setState(roomId, 'test.state', { key: 'after' });
    const filter = filtered({ room: { timeline: { limit: 0 }, include_leave: true } });
    for (const answer of [await initial(bob, filter), await bob.sync({ since, ...filter })]) {
      const room = answer.rooms.leave[roomId];
      expect(room.timeline.events).toEqual([]);
      expect(membersOf(room.state.events)).toContain(`${bob.userId}|leave`);
      const state = room.state.events.find((event: Json) => event.type === 'test.state');
      expect(state.content).toEqual({ key: 'before' });
    }
  });
});

describe('a filter of /sync', () => {
  it('may be uploaded once and named by its id', async () => {
    const roomId = await alice.createRoom();
    for (let n = 1; n <= 5; n += 1) await alice.say(roomId, `m${n}`);
    const path = `/user/${encodeURIComponent(alice.userId)}/filter`;
    const { filter_id: id } = await alice.ok('POST', path, { room: { timeline: { limit: 2 } } });
    expect(await alice.ok('GET', `${path}/${id}`)).toEqual({ room: { timeline: { limit: 2 } } });
    const { timeline } = (await alice.sync({ filter: id })).rooms.join[roomId];
    expect(bodiesOf(timeline.events)).toEqual(['m4', 'm5']);
    const others = await bob.call('GET', `/sync?filter=${id}`);
    expect([others.status, others.body.errcode]).toEqual([400, 'M_INVALID_PARAM']);
  });

  it('that is none is refused', async () => {
    for (const filter of ['{', '{"room":7}', '{"room":{"timeline":{"limit":"x"}}}', 'unknown', '[]', '"x"']) {
      const answer = await alice.call('GET', `/sync?filter=${encodeURIComponent(filter)}`);
      expect([filter, answer.status, answer.body.errcode]).toEqual([filter, 400, 'M_INVALID_PARAM']);
    }
  });

  it('chooses rooms, in all sections', async () => {
    const [one, two] = [await alice.createRoom(), await alice.createRoom()];
    const invite = await bob.createRoom({ invite: [alice.userId] });
    const rooms = async (room: unknown): Promise<string[]> => {
      const told = (await initial(alice, filtered({ room }))).rooms ?? {};
      return [...Object.keys(told.join ?? {}), ...Object.keys(told.invite ?? {})].sort();
    };
    expect(await rooms({})).toEqual([one, two, invite].sort());
    expect(await rooms({ rooms: [one] })).toEqual([one]);
    expect(await rooms({ rooms: [] })).toEqual([]);
    expect(await rooms({ not_rooms: [one] })).toEqual([two, invite].sort());
    expect(await rooms({ rooms: [one, two], not_rooms: [two] })).toEqual([one]);
    expect(await rooms({ not_rooms: [invite] })).toEqual([one, two].sort());
  });

  it('chooses what stands in the timeline and in the state', async () => {
    const roomId = await alice.createRoom({ preset: 'public_chat', name: 'Name' });
    await bob.join(roomId);
    await alice.say(roomId, 'hers');
    await bob.say(roomId, 'his');
    const room = async (sections: unknown): Promise<Json> =>
      (await initial(alice, filtered({ room: sections }))).rooms.join[roomId];
    const types = (events: Json[]): string[] => [...new Set(events.map(({ type }) => type))];
    expect(types((await room({ timeline: { types: ['m.room.message'] } })).timeline.events)).toEqual([
      'm.room.message',
    ]);
    expect(bodiesOf((await room({ timeline: { senders: [bob.userId] } })).timeline.events)).toEqual(['his']);
    expect(bodiesOf((await room({ timeline: { not_senders: [bob.userId] } })).timeline.events)).toEqual(['hers']);
    const named = await room({ timeline: { limit: 1 }, state: { types: ['m.room.name'] } });
    expect(keysOf(named.state.events)).toEqual(['m.room.name|']);
    const without = await room({ timeline: { limit: 1 }, state: { not_types: ['m.room.*'] } });
    expect(without.state.events).toEqual([]);
    const nothing = await room({ timeline: { rooms: [] }, state: { rooms: [] } });
    expect([nothing.timeline.events, nothing.state.events]).toEqual([[], []]);
  });

  it('that holds an event back from the timeline tells its state beside it', async () => {
    const roomId = await alice.createRoom({ name: 'First' });
    const { next_batch: since } = await alice.sync();
    await alice.setState(roomId, 'm.room.name', { name: 'Second' });
    await alice.say(roomId, 'x');
    const room = (await alice.sync({ since, ...filtered({ room: { timeline: { types: ['m.room.message'] } } }) })).rooms
      .join[roomId];
    expect(bodiesOf(room.timeline.events)).toEqual(['x']);
    expect(room.state.events.map((event: Json) => event.content)).toEqual([{ name: 'Second' }]);
  });

  it('without timeline still tells of rooms, and lets /messages begin at the end', async () => {
    const roomId = await alice.createRoom();
    await alice.say(roomId, 'x');
    const room = (await initial(alice, filtered({ room: { timeline: { limit: 0 } } }))).rooms.join[roomId];
    expect(room.timeline.events).toEqual([]);
    const { chunk } = await messages(alice, roomId, { from: room.timeline.prev_batch, limit: '1' });
    expect(bodiesOf(chunk)).toEqual(['x']);
    expect(keysOf(room.state.events)).toContain('m.room.create|');
  });

  it('chooses account data, global and per room, and ephemeral events', async () => {
    const roomId = await alice.createRoom({ preset: 'public_chat' });
    await bob.join(roomId);
    const eventId = await bob.say(roomId, 'x');
    await alice.setAccountData('test.one', {});
    await alice.setAccountData('test.two', {});
    const inRoomPath = `/user/${encodeURIComponent(alice.userId)}/rooms/${encodeURIComponent(roomId)}/account_data/`;
    for (const type of ['room.one', 'room.two']) await alice.ok('PUT', `${inRoomPath}${type}`, {});
    await bob.ok('PUT', inRoom(roomId, 'typing', bob.userId), { typing: true });
    await bob.ok('POST', inRoom(roomId, 'receipt', 'm.read', eventId), {});
    const body = await initial(
      alice,
      filtered({
        account_data: { types: ['test.one'] },
        room: { account_data: { not_types: ['room.one'] }, ephemeral: { types: ['m.receipt'] } },
      }),
    );
    const types = (events: Json[]): string[] => events.map(({ type }) => type).sort();
    expect(types(body.account_data.events)).toEqual(['test.one']);
    expect(types(body.rooms.join[roomId].account_data.events)).toEqual(['room.two']);
    expect(types(body.rooms.join[roomId].ephemeral.events)).toEqual(['m.receipt']);
    const none = await initial(
      alice,
      filtered({ account_data: { types: [] }, room: { account_data: { types: [] }, ephemeral: { not_types: ['*'] } } }),
    );
    expect(none.account_data).toBeUndefined();
    expect(none.rooms.join[roomId].account_data.events).toEqual([]);
    expect(none.rooms.join[roomId].ephemeral.events).toEqual([]);
  });

  it('of one request does not make the next one miss what it held back', async () => {
    const roomId = await alice.createRoom();
    const { next_batch: since } = await alice.sync();
    await alice.send(roomId, 'test.held', {});
    const held = await alice.sync({ since, ...filtered({ room: { timeline: { types: ['none'] } } }) });
    if (held.next_batch === since) {
      expect((await alice.sync({ since })).rooms.join[roomId].timeline.events).toHaveLength(1);
    }
    await alice.say(roomId, 'shown');
    expect(bodiesOf((await alice.sync()).rooms.join[roomId].timeline.events)).toEqual(['shown']);
  });
});

describe('lazily loaded members', () => {
  const lazy = (more: Record<string, unknown> = {}, timeline: Record<string, unknown> = {}) =>
    filtered({ room: { state: { lazy_load_members: true, ...more }, timeline } });
  const toldMembers = (room: Json): string[] =>
    room.state.events
      .filter(({ type }: Json) => type === 'm.room.member')
      .map(({ state_key: key }: Json) => key)
      .sort();

  async function crowd(names: number): Promise<{ roomId: string; members: TestUser[] }> {
    const roomId = await alice.createRoom({ preset: 'public_chat' });
    const members: TestUser[] = [];
    for (let n = 0; n < names; n += 1) {
      const member = await newUser(server, 'member');
      await member.join(roomId);
      members.push(member);
    }
    return { roomId, members };
  }

  it('are those who speak in the timeline, the viewer and the heroes', async () => {
    const { roomId, members } = await crowd(8);
    const last = members.at(-1) ?? bob;
    await last.say(roomId, 'x');
    const room = (await alice.sync(lazy({}, { limit: 1 }))).rooms.join[roomId];
    const heroes: string[] = room.summary['m.heroes'];
    expect(heroes).toHaveLength(5);
    expect(toldMembers(room)).toEqual([...new Set([alice.userId, last.userId, ...heroes])].sort());
    const all = (await initial(alice, filtered({ room: { timeline: { limit: 1 } } }))).rooms.join[roomId];
    expect(toldMembers(all)).toHaveLength(9);
  });

  it('are told when they first speak and not again', async () => {
    const { roomId, members } = await crowd(7);
    const [, , , , , , last = bob] = members;
    await alice.say(roomId, 'x');
    await alice.sync(lazy({}, { limit: 1 }));
    await last.say(roomId, 'first');
    expect(toldMembers((await alice.sync(lazy({}, { limit: 1 }))).rooms.join[roomId])).toEqual([last.userId]);
    await last.say(roomId, 'second');
    expect(toldMembers((await alice.sync(lazy({}, { limit: 1 }))).rooms.join[roomId])).toEqual([]);
    await last.say(roomId, 'third');
    const redundant = lazy({ include_redundant_members: true }, { limit: 1 });
    expect(toldMembers((await alice.sync(redundant)).rooms.join[roomId])).toEqual([last.userId]);
  });

  it('are told again to a client that asks from an earlier token', async () => {
    const { roomId, members } = await crowd(7);
    const last = members.at(-1) ?? bob;
    await alice.say(roomId, 'x');
    const { next_batch: since } = await alice.sync(lazy({}, { limit: 1 }));
    await last.say(roomId, 'first');
    await alice.sync(lazy({}, { limit: 1 }));
    const again = await alice.sync({ since, ...lazy({}, { limit: 1 }) });
    expect(toldMembers(again.rooms.join[roomId])).toEqual([last.userId]);
  });

  it('that joined or changed in a gap are told, although they are silent', async () => {
    const { roomId, members } = await crowd(7);
    const silent = members.at(-1) ?? bob;
    await alice.say(roomId, 'x');
    await alice.sync(lazy({}, { limit: 1 }));
    await bob.join(roomId);
    await silent.leave(roomId);
    for (let n = 0; n < 3; n += 1) await alice.say(roomId, `m${n}`);
    const room = (await alice.sync(lazy({}, { limit: 2 }))).rooms.join[roomId];
    expect(room.timeline.limited).toBe(true);
    expect(toldMembers(room)).toEqual(expect.arrayContaining([bob.userId, silent.userId]));
  });

  it('are complete from /members at the token', async () => {
    const { roomId } = await crowd(3);
    const { next_batch: at } = await alice.sync(lazy());
    await bob.join(roomId);
    const { chunk } = await alice.ok(
      'GET',
      `${inRoom(roomId, 'members')}?at=${encodeURIComponent(at)}&membership=join`,
    );
    expect(chunk).toHaveLength(4);
  });
});

describe('what a client is told adds up', () => {
  it('to the state of the room, however small its timelines', async () => {
    const roomId = await alice.createRoom({
      preset: 'public_chat',
      power_level_content_override: { state_default: 0 },
    });
    for (const limit of [1, 2, 5]) {
      const client = Object.assign(new TestUser(alice.url), { accessToken: alice.accessToken });
      const state = new Map<string, Json>();
      const apply = (room: Json): void => {
        for (const event of [...room.state.events, ...room.timeline.events]) {
          if (event.state_key !== undefined) state.set(`${event.type}|${event.state_key}`, event.event_id);
        }
      };
      const parameters = filtered({ room: { timeline: { limit } } });
      apply((await client.sync(parameters)).rooms.join[roomId]);
      for (let round = 0; round < 4; round += 1) {
        for (let n = 0; n <= round; n += 1) {
          await alice.setState(roomId, `test.${n % 3}`, { limit, round, n }, n % 2 === 0 ? '' : 'key');
          await bob.call('POST', inRoom(roomId, round % 2 === 0 ? 'join' : 'leave'), {});
          if (n % 2 === 1) await alice.say(roomId, 'x');
        }
        apply((await client.sync(parameters)).rooms.join[roomId]);
        const current = await alice.ok('GET', inRoom(roomId, 'state'));
        const expected = current.map((event: Json) => [`${event.type}|${event.state_key}`, event.event_id]);
        expect([...state].sort()).toEqual(expected.sort());
      }
    }
  });

  it('to every event once when gaps are filled by /messages', async () => {
    const roomId = await alice.createRoom();
    let since: string = (await alice.sync()).next_batch;
    const seen: string[] = [];
    const sent: string[] = [];
    for (const count of [1, 4, 2, 7]) {
      for (let n = 0; n < count; n += 1) sent.push(await alice.say(roomId, 'x'));
      const { timeline } = (await alice.sync(filtered({ room: { timeline: { limit: 3 } } }))).rooms.join[roomId];
      if (timeline.limited) {
        const { chunk } = await messages(alice, roomId, { from: timeline.prev_batch, to: since });
        seen.push(...idsOf(chunk).reverse());
      }
      seen.push(...idsOf(timeline.events));
      since = alice.since ?? '';
    }
    expect(seen).toEqual(sent);
  });
});

it('a change of the own profile is in the timeline of every room', async () => {
  const rooms = [await alice.createRoom(), await alice.createRoom({ preset: 'public_chat' })];
  await bob.join(rooms[1] ?? '');
  await bob.sync();
  const { answer } = await poll(server, bob);
  await alice.ok('PUT', `/profile/${alice.userId}/displayname`, { displayname: 'Alice' });
  await alice.ok('PUT', `/profile/${alice.userId}/avatar_url`, { avatar_url: 'mxc://a.test/x' });
  expect((await answer).rooms.join[rooms[1] ?? ''].timeline.events[0].content.displayname).toBe('Alice');
  await server.settle();
  for (const roomId of rooms) {
    expect((await getState(alice, roomId, 'm.room.member', alice.userId)).body).toEqual({
      membership: 'join',
      displayname: 'Alice',
      avatar_url: 'mxc://a.test/x',
    });
  }
});

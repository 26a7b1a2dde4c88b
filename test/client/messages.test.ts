import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestServer } from '../support/server.ts';
import type { TestUser } from '../support/user.ts';
import {
  bodiesOf,
  forbidden,
  idsOf,
  inRoom,
  type Json,
  messages,
  newUser,
  newUsers,
  notFound,
  query,
  refusal,
} from './rooms-support.ts';

let server: TestServer;
let alice: TestUser;
let bob: TestUser;
/** A room of both with the messages m1 to m20, by turns. */
let roomId: string;
const ids: string[] = [];

beforeAll(async () => {
  server = await TestServer.start();
  [alice, bob] = await newUsers(server, 'alice', 'bob');
  roomId = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(roomId);
  for (let n = 1; n <= 20; n += 1) ids.push(await (n % 2 === 1 ? alice : bob).say(roomId, `m${n}`));
});
afterAll(() => server.stop());

const range = (from: number, to: number): string[] => {
  const step = from <= to ? 1 : -1;
  return Array.from({ length: Math.abs(to - from) + 1 }, (_, index) => `m${from + index * step}`);
};
const get = (user: TestUser, room: string, parameters: Record<string, string>) =>
  user.call('GET', `${inRoom(room, 'messages')}${query(parameters)}`);
const context = (user: TestUser, eventId: string, parameters: Record<string, string> = {}, room = roomId) =>
  user.call('GET', `${inRoom(room, 'context', eventId)}${query(parameters)}`);

/** All pages, one after the other, until there is no `end`. */
async function walk(user: TestUser, room: string, parameters: Record<string, string>): Promise<Json[]> {
  const events: Json[] = [];
  let from: string | undefined;
  for (let page = 0; page < 50; page += 1) {
    const body = await messages(user, room, from === undefined ? parameters : { ...parameters, from });
    events.push(...body.chunk);
    if (body.end === undefined) return events;
    from = body.end;
  }
  throw new Error('there is always another page');
}

describe('/messages', () => {
  it('goes back from the newest event and forward from the oldest', async () => {
    const back = await messages(alice, roomId, { limit: '3' });
    expect(bodiesOf(back.chunk)).toEqual(['m20', 'm19', 'm18']);
    const forward = await messages(alice, roomId, { dir: 'f', limit: '2' });
    expect(forward.chunk.map((event: Json) => event.type)).toEqual(['m.room.create', 'm.room.member']);
    for (const event of back.chunk) expect(event.room_id).toBe(roomId);
  });

  it.each(['b', 'f'])('in direction %s tells every event once in pages of any size', async (dir) => {
    const whole = await walk(alice, roomId, { dir, limit: '1000' });
    expect(new Set(idsOf(whole)).size).toBe(whole.length);
    for (const limit of ['1', '4', '7']) expect(idsOf(await walk(alice, roomId, { dir, limit }))).toEqual(idsOf(whole));
    const expected = dir === 'b' ? range(20, 1) : range(1, 20);
    expect(bodiesOf(whole)).toEqual(expected);
  });

  it('has no end where there is nothing further back', async () => {
    const all = await messages(alice, roomId, { limit: '1000' });
    expect(all.end).toBeUndefined();
    expect(all.chunk.at(-1).type).toBe('m.room.create');
    expect((await messages(alice, roomId, { limit: '5' })).end).toEqual(expect.any(String));
  });

  it('has an end beside what a filter left of the last page, and behind it an empty page without one', async () => {
    const filter = JSON.stringify({ types: ['m.room.message'], limit: 100 });
    const last = await messages(alice, roomId, { filter });
    expect(bodiesOf(last.chunk)).toEqual(range(20, 1));
    expect(await messages(alice, roomId, { filter, from: last.end })).toEqual({ chunk: [], start: last.end });
  });

  it('starts where it is told and says so', async () => {
    const first = await messages(alice, roomId, { limit: '5' });
    const second = await messages(alice, roomId, { limit: '5', from: first.end });
    expect(second.start).toBe(first.end);
    expect(bodiesOf(second.chunk)).toEqual(range(15, 11));
    const turned = await messages(alice, roomId, { dir: 'f', limit: '3', from: second.end });
    expect(bodiesOf(turned.chunk)).toEqual(range(11, 13));
  });

  it('stops at `to`', async () => {
    const mark = (await messages(alice, roomId, { limit: '6' })).end;
    const back = await messages(alice, roomId, { to: mark });
    expect(bodiesOf(back.chunk)).toEqual(range(20, 15));
    expect(back.end).toBeUndefined();
    const forward = await messages(alice, roomId, { dir: 'f', to: mark });
    expect(bodiesOf(forward.chunk)).toEqual(range(1, 14));
    const between = await messages(alice, roomId, {
      from: mark,
      to: (await messages(alice, roomId, { limit: '9' })).end,
    });
    expect(bodiesOf(between.chunk)).toEqual(range(14, 12));
  });

  it('goes on from tokens of /sync in both directions', async () => {
    const room = await alice.createRoom();
    await alice.say(room, 'before');
    const { next_batch: since } = await alice.sync();
    await alice.say(room, 'after');
    const forward = await messages(alice, room, { dir: 'f', from: since });
    expect(bodiesOf(forward.chunk)).toEqual(['after']);
    expect(bodiesOf((await messages(alice, room, { from: since, limit: '1' })).chunk)).toEqual(['before']);
    const { next_batch: later } = await alice.sync();
    const between = await messages(alice, room, { dir: 'f', from: since, to: later });
    expect(bodiesOf(between.chunk)).toEqual(['after']);
    const nothing = await messages(alice, room, { dir: 'f', from: later });
    expect(nothing.chunk).toEqual([]);
  });

  it('from the live end forward tells what comes later', async () => {
    const room = await alice.createRoom();
    const { next_batch: since } = await alice.sync();
    const empty = await messages(alice, room, { dir: 'f', from: since });
    expect(empty.chunk).toEqual([]);
    await alice.say(room, 'late');
    expect(bodiesOf((await messages(alice, room, { dir: 'f', from: empty.end ?? since })).chunk)).toEqual(['late']);
  });

  it('obeys the limit, of which there are ten by default', async () => {
    expect((await get(alice, roomId, { dir: 'b' })).body.chunk).toHaveLength(10);
    expect((await get(alice, roomId, { dir: 'b', limit: '99999' })).status).toBe(200);
    for (const limit of ['-1', 'ten', '1.5', '']) {
      expect([limit, ...refusal(await get(alice, roomId, { dir: 'b', limit }))]).toEqual([
        limit,
        400,
        'M_INVALID_PARAM',
      ]);
    }
    expect((await messages(alice, roomId, { limit: '0' })).chunk).toEqual([]);
  });

  it('refuses a direction, a token or a filter that is none', async () => {
    for (const parameters of [
      { dir: 'up' },
      { dir: 'b', from: 'nonsense' },
      { dir: 'b', to: 'nonsense' },
      { dir: 'b', from: '' },
      { dir: 'b', filter: '{' },
      { dir: 'b', filter: '"text"' },
      { dir: 'b', filter: '{"types":"x"}' },
      { dir: 'b', filter: '{"senders":["bob"]}' },
    ] as Record<string, string>[]) {
      expect([parameters, ...refusal(await get(alice, roomId, parameters))]).toEqual([
        parameters,
        400,
        'M_INVALID_PARAM',
      ]);
    }
  });

  it('is forbidden for strangers, and for rooms that do not exist', async () => {
    const stranger = await newUser(server, 'stranger');
    expect(refusal(await get(stranger, roomId, { dir: 'b' }))).toEqual(forbidden);
    expect(refusal(await get(alice, `!none:${server.name}`, { dir: 'b' }))).toEqual(forbidden);
  });

  it('tells what the user was in the room at each event', async () => {
    const room = await alice.createRoom({ preset: 'public_chat' });
    await alice.say(room, 'before');
    await alice.invite(room, bob.userId);
    await alice.say(room, 'invited');
    await bob.join(room);
    await alice.say(room, 'joined');
    const { chunk } = await messages(bob, room);
    const told = chunk
      .filter((event: Json) => event.type === 'm.room.message')
      .map((event: Json) => [event.content.body, event.unsigned.membership]);
    expect(told).toEqual([
      ['joined', 'join'],
      ['invited', 'invite'],
      ['before', 'leave'],
    ]);
    const own = chunk.find((event: Json) => event.state_key === bob.userId && event.content.membership === 'join');
    expect([own.unsigned.membership, own.unsigned.prev_content]).toEqual(['join', { membership: 'invite' }]);
  });
});

describe('a filter of /messages', () => {
  const filtered = async (filter: unknown, more: Record<string, string> = {}): Promise<Json> =>
    messages(alice, roomId, { filter: JSON.stringify(filter), ...more });

  it('chooses types, with wildcards, and senders', async () => {
    const types = async (filter: unknown) =>
      new Set((await filtered(filter)).chunk.map((event: Json) => event.type as string));
    expect(await types({ types: ['m.room.message'] })).toEqual(new Set(['m.room.message']));
    expect(await types({ types: ['m.room.mem*', '*.create'] })).toEqual(new Set(['m.room.member', 'm.room.create']));
    expect(await types({ types: [] })).toEqual(new Set());
    const not = await types({ not_types: ['m.room.message', 'm.room.m*'] });
    expect(not.has('m.room.create')).toBe(true);
    expect(not.has('m.room.message') || not.has('m.room.member')).toBe(false);
    expect(await types({ types: ['m.room.message'], not_types: ['m.room.message'] })).toEqual(new Set());
    const senders = (await filtered({ senders: [bob.userId] })).chunk.map((event: Json) => event.sender);
    expect(new Set(senders)).toEqual(new Set([bob.userId]));
    const others = (await filtered({ not_senders: [bob.userId] })).chunk.map((event: Json) => event.sender);
    expect(new Set(others)).toEqual(new Set([alice.userId]));
  });

  it('still fills a page to its limit, and the pages hold every match once', async () => {
    const filter = { senders: [bob.userId], types: ['m.room.message'] };
    const page = await filtered(filter, { limit: '4' });
    expect(bodiesOf(page.chunk)).toEqual(['m20', 'm18', 'm16', 'm14']);
    const all = await walk(alice, roomId, { dir: 'b', limit: '3', filter: JSON.stringify(filter) });
    expect(bodiesOf(all)).toEqual(range(20, 1).filter((_, index) => index % 2 === 0));
  });

  it('chooses events with or without a url, and rooms', async () => {
    const room = await alice.createRoom();
    await alice.say(room, 'plain');
    await alice.send(room, 'm.room.message', { msgtype: 'm.image', body: 'picture', url: 'mxc://a.test/x' });
    const bodies = async (filter: unknown) =>
      bodiesOf((await messages(alice, room, { filter: JSON.stringify(filter) })).chunk);
    expect(await bodies({ contains_url: true })).toEqual(['picture']);
    expect(await bodies({ contains_url: false })).toEqual(['plain']);
    expect(await bodies({})).toEqual(['picture', 'plain']);
    expect(await bodies({ rooms: [roomId] })).toEqual([]);
    expect(await bodies({ not_rooms: [room] })).toEqual([]);
    expect(await bodies({ rooms: [room] })).toEqual(['picture', 'plain']);
  });

  it('leads on to an empty page where it left something out, and ends there', async () => {
    const all = await filtered({ types: ['m.room.message'] }, { limit: '100' });
    expect([all.chunk.length > 0, typeof all.end]).toEqual([true, 'string']);
    const none = await filtered({ types: ['m.room.message'] }, { limit: '100', from: all.end });
    expect([none.chunk, none.end]).toEqual([[], undefined]);
  });

  it('loads the senders’ member events lazily, as they were then, and none otherwise', async () => {
    const lazy = await filtered({ lazy_load_members: true, types: ['m.room.message'] }, { limit: '1' });
    expect(lazy.state.map((event: Json) => [event.type, event.state_key, event.content.membership])).toEqual([
      ['m.room.member', bob.userId, 'join'],
    ]);
    const both = await filtered({ lazy_load_members: true, types: ['m.room.message'] }, { limit: '4' });
    expect(both.state.map((event: Json) => event.state_key).sort()).toEqual([alice.userId, bob.userId].sort());
    expect((await filtered({ types: ['m.room.message'] })).state).toBeUndefined();
  });
});

describe('/event', () => {
  it('is there for members, and only in its own room', async () => {
    const [first = ''] = ids;
    expect(await alice.ok('GET', inRoom(roomId, 'event', first))).toMatchObject({
      event_id: first,
      room_id: roomId,
      content: { body: 'm1' },
    });
    const other = await alice.createRoom();
    expect(refusal(await alice.call('GET', inRoom(other, 'event', first)))).toEqual(notFound);
    expect(refusal(await alice.call('GET', inRoom(roomId, 'event', '$nothing')))).toEqual(notFound);
    expect(refusal(await alice.call('GET', inRoom(roomId, 'event', 'nothing')))).toEqual([400, 'M_INVALID_PARAM']);
    expect((await alice.call('GET', inRoom(`!none:${server.name}`, 'event', first))).status).toBe(404);
  });
});

describe('/context', () => {
  it('has the event, what stands around it, and the state at the end', async () => {
    const { body } = await context(alice, ids[9] ?? '', { limit: '6' });
    expect(body.event.content.body).toBe('m10');
    expect(bodiesOf(body.events_before)).toEqual(['m9', 'm8', 'm7']);
    expect(bodiesOf(body.events_after)).toEqual(['m11', 'm12', 'm13']);
    expect(body.state.map((event: Json) => event.type)).toContain('m.room.create');
    expect(body.state.filter((event: Json) => event.type === 'm.room.member')).toHaveLength(2);
  });

  it('gives tokens from which /messages goes on', async () => {
    const { body } = await context(alice, ids[9] ?? '', { limit: '4' });
    const before = await messages(alice, roomId, { from: body.start, limit: '2' });
    expect(bodiesOf(before.chunk)).toEqual(['m7', 'm6']);
    const after = await messages(alice, roomId, { dir: 'f', from: body.end, limit: '2' });
    expect(bodiesOf(after.chunk)).toEqual(['m13', 'm14']);
  });

  it('of the newest and the oldest event has nothing on one side', async () => {
    const newest = (await context(alice, ids.at(-1) ?? '', { limit: '2' })).body;
    expect([newest.events_after, bodiesOf(newest.events_before)]).toEqual([[], ['m19']]);
    const create = (await messages(alice, roomId, { dir: 'f', limit: '1' })).chunk[0].event_id;
    const oldest = (await context(alice, create, { limit: '2' })).body;
    expect([oldest.events_before, oldest.events_after.length]).toEqual([[], 1]);
  });

  it('with limit 0 has the event alone', async () => {
    const { body } = await context(alice, ids[4] ?? '', { limit: '0' });
    expect([body.events_before, body.events_after, body.event.content.body]).toEqual([[], [], 'm5']);
    expect(bodiesOf((await messages(alice, roomId, { from: body.start, limit: '1' })).chunk)).toEqual(['m4']);
    expect(bodiesOf((await messages(alice, roomId, { dir: 'f', from: body.end, limit: '1' })).chunk)).toEqual(['m6']);
  });

  it('obeys a filter, which the event itself need not pass', async () => {
    const filter = JSON.stringify({ senders: [bob.userId], lazy_load_members: true });
    const { body } = await context(alice, ids[10] ?? '', { limit: '4', filter });
    expect(body.event.content.body).toBe('m11');
    expect(bodiesOf(body.events_before)).toEqual(['m10', 'm8']);
    expect(bodiesOf(body.events_after)).toEqual(['m12', 'm14']);
    expect(body.state.map((event: Json) => event.state_key).sort()).toEqual([alice.userId, bob.userId].sort());
  });

  it('has the state as it was there', async () => {
    const room = await alice.createRoom({ name: 'First' });
    const eventId = await alice.say(room, 'then');
    await alice.setState(room, 'm.room.name', { name: 'Second' });
    const nameAt = async (limit: string) =>
      (await context(alice, eventId, { limit }, room)).body.state.find((event: Json) => event.type === 'm.room.name')
        .content.name;
    expect(await nameAt('0')).toBe('First');
    expect(await nameAt('2')).toBe('Second');
  });

  it('is not there for strangers or for events that are not', async () => {
    const stranger = await newUser(server, 'stranger');
    const refused = await context(stranger, ids[0] ?? '');
    expect([403, 404]).toContain(refused.status);
    expect(refusal(await context(alice, '$nothing'))).toEqual(notFound);
    expect(refusal(await context(alice, ids[0] ?? '', { limit: '-1' }))).toEqual([400, 'M_INVALID_PARAM']);
    expect(refusal(await context(alice, ids[0] ?? '', { filter: '[]' }))).toEqual([400, 'M_INVALID_PARAM']);
  });
});

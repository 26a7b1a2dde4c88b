import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { noKeys } from '../support/key-fixture.ts';
import { TestServer } from '../support/server.ts';
import { TestUser } from '../support/user.ts';
import { bodiesOf, idsOf, inRoom, type Json, keysOf, membersOf, messages, newUsers, query } from './rooms-support.ts';

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

/** The text of an answer, byte by byte. */
async function syncText(user: TestUser, parameters: Record<string, string>): Promise<string> {
  const response = await fetch(`${server.url}/_matrix/client/v3/sync${query({ timeout: '0', ...parameters })}`, {
    headers: { authorization: `Bearer ${user.accessToken}` },
  });
  expect(response.status).toBe(200);
  return response.text();
}

describe('an initial sync', () => {
  it('of somebody new has nothing but a token', async () => {
    const body = await alice.sync();
    expect(body.next_batch).toEqual(expect.any(String));
    expect(body.rooms?.join ?? {}).toEqual({});
    expect(body.rooms?.invite ?? {}).toEqual({});
    expect(body).toMatchObject(noKeys);
  });

  it('has the rooms joined: timeline in order, state before it, every section', async () => {
    const roomId = await alice.createRoom({ preset: 'public_chat', name: 'Name' });
    for (let n = 1; n <= 12; n += 1) await alice.say(roomId, `m${n}`);
    const room = (await alice.sync()).rooms.join[roomId];
    expect(bodiesOf(room.timeline.events)).toEqual(Array.from({ length: 10 }, (_, n) => `m${n + 3}`));
    expect([room.timeline.limited, typeof room.timeline.prev_batch]).toEqual([true, 'string']);
    expect(keysOf(room.state.events).sort()).toEqual([
      'm.room.create|',
      'm.room.history_visibility|',
      'm.room.join_rules|',
      `m.room.member|${alice.userId}`,
      'm.room.name|',
      'm.room.power_levels|',
    ]);
    expect(room.ephemeral).toEqual({ events: [] });
    expect(room.account_data).toEqual({ events: [] });
    expect(room.unread_notifications).toEqual({ highlight_count: 0, notification_count: 0 });
    expect(room.summary).toEqual({ 'm.heroes': [], 'm.joined_member_count': 1, 'm.invited_member_count': 0 });
    for (const event of [...room.timeline.events, ...room.state.events]) expect(event.room_id).toBeUndefined();
  });

  it('of a small room shows all of it in the timeline, unlimited, and no state twice', async () => {
    const roomId = await alice.createRoom();
    const room = (await alice.sync()).rooms.join[roomId];
    expect(room.timeline.events.map((event: Json) => event.type)).toEqual([
      'm.room.create',
      'm.room.member',
      'm.room.power_levels',
      'm.room.join_rules',
      'm.room.history_visibility',
      'm.room.guest_access',
    ]);
    expect([room.timeline.limited, room.state.events]).toEqual([false, []]);
    const before = await messages(alice, roomId, { from: room.timeline.prev_batch });
    expect(before.chunk).toEqual([]);
  });

  it('shows state as it was before the timeline, whose changes come in it', async () => {
    const roomId = await alice.createRoom({ name: 'First' });
    await alice.setState(roomId, 'm.room.name', { name: 'Second' });
    await alice.say(roomId, 'between');
    await alice.setState(roomId, 'm.room.name', { name: 'Third' });
    const room = (await alice.sync(limited(2))).rooms.join[roomId];
    const names = (events: Json[]) => events.filter(({ type }) => type === 'm.room.name').map((e) => e.content.name);
    expect([names(room.state.events), names(room.timeline.events)]).toEqual([['Second'], ['Third']]);
    expect(room.timeline.events.at(-1).unsigned.prev_content).toEqual({ name: 'Second' });
  });

  it('from the token of `prev_batch` lets /messages go on without a hole', async () => {
    const roomId = await alice.createRoom();
    for (let n = 1; n <= 8; n += 1) await alice.say(roomId, `m${n}`);
    const { timeline } = (await alice.sync(limited(3))).rooms.join[roomId];
    const before = await messages(alice, roomId, { from: timeline.prev_batch, limit: '3' });
    expect([...bodiesOf(before.chunk).reverse(), ...bodiesOf(timeline.events)]).toEqual([
      'm3',
      'm4',
      'm5',
      'm6',
      'm7',
      'm8',
    ]);
  });

  it('tells the membership of the viewer at each event', async () => {
    const roomId = await alice.createRoom({ preset: 'public_chat' });
    await alice.say(roomId, 'before');
    await bob.join(roomId);
    await alice.say(roomId, 'after');
    const { events } = (await bob.sync()).rooms.join[roomId].timeline;
    const joined = events.findIndex((event: Json) => event.state_key === bob.userId);
    events.forEach((event: Json, index: number) => {
      expect(event.unsigned.membership).toBe(index < joined ? 'leave' : 'join');
    });
    expect(joined).toBeGreaterThan(0);
  });
});

describe('an incremental sync', () => {
  it('has what is new and nothing else', async () => {
    const [quiet, busy] = [await alice.createRoom(), await alice.createRoom()];
    await alice.sync();
    const eventId = await alice.say(busy, 'news');
    const { rooms } = await alice.sync();
    expect(Object.keys(rooms.join)).toEqual([busy]);
    expect(rooms.join[quiet]).toBeUndefined();
    const { timeline, state } = rooms.join[busy];
    expect([idsOf(timeline.events), timeline.limited, state.events]).toEqual([[eventId], false, []]);
    expect((await alice.sync()).rooms).toBeUndefined();
  });

  it('with nothing new answers with the very token it was given', async () => {
    await alice.createRoom({ preset: 'public_chat' });
    const { next_batch: since } = await alice.sync();
    const first = await syncText(alice, { since });
    expect(JSON.parse(first).next_batch).toBe(since);
    const others = await bob.createRoom();
    await bob.say(others, 'nothing of alice');
    expect(await syncText(alice, { since })).toBe(first);
    expect(await syncText(alice, { since })).toBe(first);
  });

  it('from the same token tells the same again', async () => {
    const roomId = await alice.createRoom();
    const { next_batch: since } = await alice.sync();
    await alice.say(roomId, 'one');
    const first = await alice.sync({ since });
    await alice.say(roomId, 'two');
    const second = await alice.sync({ since });
    expect(bodiesOf(first.rooms.join[roomId].timeline.events)).toEqual(['one']);
    expect(bodiesOf(second.rooms.join[roomId].timeline.events)).toEqual(['one', 'two']);
  });

  it('has a new room whole', async () => {
    await alice.sync();
    const roomId = await alice.createRoom({ name: 'New' });
    const room = (await alice.sync()).rooms.join[roomId];
    expect(keysOf([...room.state.events, ...room.timeline.events])).toContain('m.room.create|');
    expect(room.summary['m.joined_member_count']).toBe(1);
  });

  it('has a room that was joined whole, with what happened before', async () => {
    const roomId = await alice.createRoom({ preset: 'public_chat', name: 'Old' });
    for (let n = 1; n <= 12; n += 1) await alice.say(roomId, `m${n}`);
    await bob.sync();
    await bob.join(roomId);
    const room = (await bob.sync()).rooms.join[roomId];
    expect(room.timeline.limited).toBe(true);
    expect(bodiesOf(room.timeline.events).at(-1)).toBe('m12');
    expect(keysOf(room.state.events)).toEqual(
      expect.arrayContaining(['m.room.create|', 'm.room.name|', `m.room.member|${alice.userId}`]),
    );
    expect(room.summary).toMatchObject({ 'm.heroes': [alice.userId], 'm.joined_member_count': 2 });
  });

  it('with more than the limit is limited, and the gap can be filled from `prev_batch`', async () => {
    const roomId = await alice.createRoom();
    await alice.say(roomId, 'old');
    const { next_batch: since } = await alice.sync();
    for (let n = 1; n <= 6; n += 1) await alice.say(roomId, `m${n}`);
    const { timeline } = (await alice.sync(limited(2))).rooms.join[roomId];
    expect([bodiesOf(timeline.events), timeline.limited]).toEqual([['m5', 'm6'], true]);
    const gap = await messages(alice, roomId, { from: timeline.prev_batch, to: since });
    expect(bodiesOf(gap.chunk)).toEqual(['m4', 'm3', 'm2', 'm1']);
    const exact = (await alice.sync({ since, ...limited(6) })).rooms.join[roomId].timeline;
    expect([exact.events.length, exact.limited]).toEqual([6, false]);
  });

  it('that is limited tells the state that changed in the gap', async () => {
    const roomId = await alice.createRoom({ preset: 'public_chat', name: 'First' });
    await alice.sync();
    await alice.setState(roomId, 'm.room.name', { name: 'Second' });
    await alice.setState(roomId, 'm.room.topic', { topic: 'hidden' });
    await bob.join(roomId);
    for (let n = 1; n <= 3; n += 1) await alice.say(roomId, `m${n}`);
    await alice.setState(roomId, 'm.room.name', { name: 'Third' });
    const room = (await alice.sync(limited(2))).rooms.join[roomId];
    const state = Object.fromEntries(
      room.state.events.map((event: Json) => [`${event.type}|${event.state_key}`, event.content]),
    );
    expect(Object.keys(state).sort()).toEqual([`m.room.member|${bob.userId}`, 'm.room.name|', 'm.room.topic|'].sort());
    // The name before the timeline, which then changes it once more.
    expect(state['m.room.name|']).toEqual({ name: 'Second' });
    expect(room.timeline.events.at(-1).content).toEqual({ name: 'Third' });
  });

  it('tells joins, invites and departures of others, and the summary that follows', async () => {
    const roomId = await alice.createRoom({ preset: 'public_chat' });
    await alice.sync();
    await alice.invite(roomId, bob.userId);
    const invited = (await alice.sync()).rooms.join[roomId];
    expect(membersOf(invited.timeline.events)).toEqual([`${bob.userId}|invite`]);
    expect(invited.summary).toEqual({
      'm.heroes': [bob.userId],
      'm.joined_member_count': 1,
      'm.invited_member_count': 1,
    });
    await bob.join(roomId);
    expect((await alice.sync()).rooms.join[roomId].summary).toMatchObject({
      'm.joined_member_count': 2,
      'm.invited_member_count': 0,
    });
    await alice.say(roomId, 'x');
    expect((await alice.sync()).rooms.join[roomId].summary).toBeUndefined();
    await bob.leave(roomId);
    const left = (await alice.sync()).rooms.join[roomId];
    expect(membersOf(left.timeline.events)).toEqual([`${bob.userId}|leave`]);
    expect(left.summary).toMatchObject({ 'm.joined_member_count': 1, 'm.heroes': [bob.userId] });
  });

  it('has a redaction as an event, and the redacted event without its content', async () => {
    const roomId = await alice.createRoom();
    const { next_batch: since } = await alice.sync();
    const eventId = await alice.say(roomId, 'regretted');
    await alice.sync();
    await alice.ok('PUT', inRoom(roomId, 'redact', eventId, 't'), {});
    const later = (await alice.sync()).rooms.join[roomId].timeline.events;
    expect(later.map((event: Json) => [event.type, event.redacts])).toEqual([['m.room.redaction', eventId]]);
    const [first] = (await alice.sync({ since })).rooms.join[roomId].timeline.events;
    expect([first.event_id, first.content]).toEqual([eventId, {}]);
    expect(first.unsigned.redacted_because.type).toBe('m.room.redaction');
  });

  it('of a room that was left and joined again is told as a new one, not as left', async () => {
    const roomId = await alice.createRoom({ preset: 'public_chat' });
    const { next_batch: never } = await bob.sync();
    await bob.join(roomId);
    await bob.sync();
    await bob.leave(roomId);
    await alice.say(roomId, 'missed');
    await bob.join(roomId);
    for (const answer of [await bob.sync(), await bob.sync({ since: never })]) {
      expect(answer.rooms.leave).toBeUndefined();
      const { timeline } = answer.rooms.join[roomId];
      expect(bodiesOf(timeline.events)).toEqual(['missed']);
      expect(timeline.limited).toBe(true);
    }
  });

  it('follows the client after a restart of the server', async () => {
    const own = await TestServer.start();
    const user = await own.register('user');
    const roomId = await user.createRoom();
    const { next_batch: since } = await user.sync();
    await user.say(roomId, 'before');
    const again = await own.restart();
    const back = Object.assign(new TestUser(again.url), { accessToken: user.accessToken, since });
    expect(bodiesOf((await back.sync()).rooms.join[roomId].timeline.events)).toEqual(['before']);
    const quiet = (await back.sync()).next_batch;
    expect((await back.sync()).next_batch).toBe(quiet);
    expect((await back.sync({ since })).rooms.join[roomId]).toBeDefined();
    await again.stop();
  });
});

import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { UserId } from '../../../src/matrix/ids.ts';
import { noKeys } from '../../support/key-fixture.ts';
import { RoomBuilder } from '../../support/room-builder.ts';
import { type Body, brief, SyncFixture } from '../../support/sync-fixture.ts';

let fixture: SyncFixture;
let alice: string;
let bob: string;
let carol: string;

beforeAll(async () => {
  fixture = await SyncFixture.open();
});

beforeEach(() => {
  ({ alice, bob, carol } = fixture.freshPeople());
});

async function timelineWith(room: RoomBuilder, timeline: unknown, since: string | null = null): Promise<Body> {
  const body = await fixture.sync(alice, { since, filter: { room: { timeline } } });
  return body.rooms?.join?.[room.roomId]?.timeline;
}

describe('a timeline filter', () => {
  test('by types, senders and url shows what matches, without what is excluded', async () => {
    const room = await RoomBuilder.create(fixture.storage, alice);
    await room.join(bob);
    await room.say(alice, 'from alice');
    await room.say(bob, 'from bob');
    await room.say(bob, 'picture', { content: { body: 'picture', url: 'mxc://a/b' } });
    const shown = async (filter: unknown) => brief((await timelineWith(room, filter)).events);
    expect(await shown({ types: ['m.room.mess*'] })).toEqual(['from alice', 'from bob', 'picture']);
    expect(await shown({ not_types: ['m.room.member', 'm.room.create'] })).toEqual([
      'from alice',
      'from bob',
      'picture',
    ]);
    expect(await shown({ types: ['m.room.message'], senders: [bob] })).toEqual(['from bob', 'picture']);
    expect(await shown({ types: ['m.room.message'], not_senders: [bob] })).toEqual(['from alice']);
    expect(await shown({ contains_url: true })).toEqual(['picture']);
    expect(await shown({ types: ['m.room.message'], contains_url: false })).toEqual(['from alice', 'from bob']);
    expect(await shown({ rooms: ['!other:a'] })).toEqual([]);
  });

  test('looks behind what it holds back for as many events as it may show', async () => {
    const room = await RoomBuilder.create(fixture.storage, alice);
    for (let index = 0; index < 4; index++) await room.say(alice, `m${index}`);
    for (let index = 0; index < 120; index++) await room.state(alice, 'org.example.noise', { index });
    const timeline = await timelineWith(room, { types: ['m.room.message'], limit: 3 });
    expect(brief(timeline.events)).toEqual(['m1', 'm2', 'm3']);
    expect(timeline.limited).toBe(true);
    const whole = await timelineWith(room, { types: ['m.room.message'], limit: 4 });
    expect(brief(whole.events)).toEqual(['m0', 'm1', 'm2', 'm3']);
    expect(whole.limited).toBe(false);
  });

  test('that excludes all new events leaves nothing to tell', async () => {
    const room = await RoomBuilder.create(fixture.storage, alice);
    const { next_batch: since } = await fixture.sync(alice);
    await room.say(alice, 'news');
    for (const timeline of [{ types: [] }, { not_types: ['*'] }, { types: ['org.example.other'] }]) {
      const body = await fixture.sync(alice, { since, filter: { room: { timeline } } });
      expect(body).toEqual({ next_batch: since, ...noKeys });
    }
  });

  test('that excludes a state event leaves it to the state', async () => {
    const room = await RoomBuilder.create(fixture.storage, alice);
    const { next_batch: since } = await fixture.sync(alice);
    await room.state(alice, 'm.room.name', { name: 'new' });
    await room.say(alice, 'news');
    const filter = { room: { timeline: { types: ['m.room.message'] } } };
    const joined = (await fixture.sync(alice, { since, filter })).rooms.join[room.roomId];
    expect([brief(joined.timeline.events), brief(joined.state.events)]).toEqual([['news'], ['m.room.name']]);
  });

  test('with a limit above the greatest is cut to that', async () => {
    const room = await RoomBuilder.create(fixture.storage, alice);
    for (let index = 0; index < 110; index++) await room.say(alice, `m${index}`);
    expect((await timelineWith(room, { limit: 1_000_000 })).events).toHaveLength(100);
    expect((await timelineWith(room, { limit: 1 })).events).toHaveLength(1);
    const none = await timelineWith(room, { limit: 0 });
    expect(none).toMatchObject({ events: [], limited: true, prev_batch: expect.stringMatching(/^p/) });
  });
});

test('a state filter by types, senders and rooms', async () => {
  const room = await RoomBuilder.create(fixture.storage, alice);
  await room.join(bob);
  await room.state(bob, 'm.room.name', { name: 'by bob' });
  const shown = async (state: unknown) => {
    const filter = { room: { timeline: { limit: 0 }, state } };
    return brief((await fixture.sync(alice, { filter })).rooms.join[room.roomId].state.events).sort();
  };
  expect(await shown({ types: ['m.room.name'] })).toEqual(['m.room.name']);
  expect(await shown({ types: [] })).toEqual([]);
  expect(await shown({ senders: [bob] })).toEqual(['m.room.member bob', 'm.room.name']);
  expect(await shown({ not_types: ['m.room.member'], not_senders: [bob] })).toEqual(['m.room.create']);
  expect(await shown({ not_rooms: [room.roomId] })).toEqual([]);
});

test('a filter of rooms hides joined, invited and left rooms, and what happens in them', async () => {
  const [shown, hidden] = [
    await RoomBuilder.create(fixture.storage, alice),
    await RoomBuilder.create(fixture.storage, alice),
  ];
  const invite = await RoomBuilder.create(fixture.storage, bob);
  await invite.member(bob, alice, 'invite');
  const filter = { room: { rooms: [shown.roomId, hidden.roomId], not_rooms: [hidden.roomId] } };
  const body = await fixture.sync(alice, { filter });
  expect(Object.keys(body.rooms)).toEqual(['join']);
  expect(Object.keys(body.rooms.join)).toEqual([shown.roomId]);
  await hidden.say(alice, 'unseen');
  await hidden.leave(alice);
  fixture.typing.set(hidden.roomId, bob);
  const later = await fixture.sync(alice, { since: body.next_batch, filter });
  expect(later).not.toHaveProperty('rooms');
});

describe('what ignored users do', () => {
  test('is not shown, but for state', async () => {
    const room = await RoomBuilder.create(fixture.storage, alice);
    await room.join(bob);
    await fixture.accountData(alice, 'm.ignored_user_list', { ignored_users: { [bob]: {} } });
    const { next_batch: since } = await fixture.sync(alice);
    await room.say(bob, 'ignored');
    await room.state(bob, 'm.room.name', { name: 'by bob' });
    await room.say(carol, 'heard');
    const joined = (await fixture.sync(alice, { since })).rooms.join[room.roomId];
    expect(brief(joined.timeline.events)).toEqual(['m.room.name', 'heard']);
    expect(brief((await fixture.sync(bob, { since })).rooms.join[room.roomId].timeline.events)).toContain('ignored');
  });

  test('does not wake or step a client', async () => {
    const room = await RoomBuilder.create(fixture.storage, alice);
    await room.join(bob);
    await fixture.accountData(alice, 'm.ignored_user_list', { ignored_users: { [bob]: {} } });
    const { next_batch: since } = await fixture.sync(alice);
    await room.say(bob, 'ignored');
    expect((await fixture.sync(alice, { since })).next_batch).toBe(since);
  });
});

describe('a filter parameter', () => {
  test('may be the id of an uploaded filter of the same user', async () => {
    const room = await RoomBuilder.create(fixture.storage, alice);
    await fixture.storage.commit({
      rows: [
        {
          kind: 'filter',
          userId: alice as UserId,
          filterId: '7',
          definition: { room: { timeline: { types: ['m.room.create'] } } },
        },
      ],
    });
    const joined = (await fixture.sync(alice, { filter: '7' })).rooms.join[room.roomId];
    expect(brief(joined.timeline.events)).toEqual(['m.room.create']);
    await expect(fixture.sync(bob, { filter: '7' })).rejects.toMatchObject({ errcode: 'M_INVALID_PARAM' });
  });

  test.each([['{'], ['{"room":7}'], ['no-such-filter'], ['']])('%j is refused', async (filter) => {
    await expect(fixture.sync(alice, { filter })).rejects.toMatchObject({ status: 400, errcode: 'M_INVALID_PARAM' });
  });
});

describe('the shape of events', () => {
  test('has only the fields that were asked for', async () => {
    const room = await RoomBuilder.create(fixture.storage, alice);
    await room.say(alice, 'hello');
    const filter = { event_fields: ['type', 'content.body'], room: { timeline: { limit: 1 } } };
    const joined = (await fixture.sync(alice, { filter })).rooms.join[room.roomId];
    expect(joined.timeline.events).toEqual([{ type: 'm.room.message', content: { body: 'hello' } }]);
    expect(joined.state.events).toContainEqual({ type: 'm.room.create', content: {} });
    expect(joined.timeline.prev_batch).toBeDefined();
  });

  test('is that of the federation where asked for, completed by its id and what the server adds', async () => {
    const room = await RoomBuilder.create(fixture.storage, alice);
    const eventId = await room.say(alice, 'hello');
    const filter = { event_format: 'federation', room: { timeline: { limit: 1 } } };
    const [event] = (await fixture.sync(alice, { filter })).rooms.join[room.roomId].timeline.events;
    expect(event).toMatchObject({
      event_id: eventId,
      room_id: room.roomId,
      content: { body: 'hello' },
      prev_events: expect.any(Array),
      auth_events: expect.any(Array),
      depth: expect.any(Number),
      hashes: expect.any(Object),
      unsigned: { membership: 'join' },
    });
    const [plain] = (await fixture.sync(alice)).rooms.join[room.roomId].timeline.events.slice(-1);
    expect(plain).not.toHaveProperty('depth');
  });
});

describe('a filter by what relates to events', () => {
  test('shows those to which something of the kind, or by one of the people, relates', async () => {
    const room = await RoomBuilder.create(fixture.storage, alice);
    await room.join(bob);
    const say = async (body: string) => ({ body, id: await room.say(alice, body) });
    const [plain, threaded, liked] = [await say('plain'), await say('threaded'), await say('liked')];
    const relate = (sender: string, rel: string, to: string, body: string) =>
      room.say(sender, body, { content: { body, 'm.relates_to': { rel_type: rel, event_id: to } } });
    await relate(alice, 'm.thread', threaded.id, 'r1');
    await relate(bob, 'm.annotation', liked.id, 'r2');
    const shown = async (filter: unknown) => brief((await timelineWith(room, filter)).events);
    expect(await shown({ related_by_rel_types: ['m.thread'] })).toEqual(['threaded']);
    expect(await shown({ related_by_rel_types: ['m.thread', 'm.annotation'] })).toEqual(['threaded', 'liked']);
    expect(await shown({ related_by_senders: [bob] })).toEqual(['liked']);
    expect(await shown({ related_by_senders: [bob], related_by_rel_types: ['m.thread'] })).toEqual([]);
    expect(await shown({ related_by_senders: [] })).toEqual([]);
    expect(await shown({ types: ['m.room.message'] })).toContain(plain.body);
  });
});

describe('lazily loaded members', () => {
  const filter = { room: { state: { lazy_load_members: true }, timeline: { limit: 1 } } };
  let room: RoomBuilder;

  beforeEach(async () => {
    room = await RoomBuilder.create(fixture.storage, alice);
    await room.state(alice, 'm.room.name', { name: 'Room' });
    await room.join(bob);
    await room.join(carol);
  });

  const members = (body: Body): string[] =>
    brief((body.rooms.join[room.roomId].state ?? body.rooms.join[room.roomId].state_after).events)
      .filter((text) => text.startsWith('m.room.member '))
      .map((text) => text.slice('m.room.member '.length));

  test('in an initial sync are the senders, the heroes and oneself, with all other state', async () => {
    for (let index = 0; index < 6; index++) await room.join(`@crowd${index}${bob.slice(4)}`);
    await room.say(carol, 'hello');
    const body = await fixture.sync(alice, { filter });
    // The heroes are the first five of the others: bob, carol and three of the crowd.
    expect(members(body)).toHaveLength(1 + 5);
    expect(members(body)).toEqual(expect.arrayContaining(['alice', 'bob', 'carol']));
    expect(brief(body.rooms.join[room.roomId].state.events)).toContain('m.room.name');
  });

  test('who joined but did not speak is among the state after', async () => {
    const asked = { room: { state: { lazy_load_members: true }, timeline: { limit: 20 } } };
    const body = await fixture.sync(alice, { filter: asked, useStateAfter: 'stable' });
    expect(members(body)).toEqual(['alice', 'bob', 'carol']);
  });

  test('are told again only when they change, or when redundant ones are asked for', async () => {
    await room.say(bob, 'one');
    const first = await fixture.sync(alice, { filter });
    expect(members(first)).toContain('bob');
    await room.say(bob, 'two');
    const second = await fixture.sync(alice, { filter, since: first.next_batch });
    expect(members(second)).toEqual([]);
    const redundant = { room: { ...filter.room, state: { lazy_load_members: true, include_redundant_members: true } } };
    expect(members(await fixture.sync(alice, { filter: redundant, since: first.next_batch }))).toEqual(['bob']);
  });

  test('are told to each device', async () => {
    await room.say(bob, 'one');
    const first = await fixture.sync(alice, { filter });
    await room.say(bob, 'two');
    const other = await fixture.sync(alice, { filter, since: first.next_batch, device: 'OTHER' });
    expect(members(other)).toEqual(['bob']);
  });

  test('who changed in a gap are told although they did not speak', async () => {
    const first = await fixture.sync(alice, { filter });
    await room.join(carol, { displayname: 'Carol' });
    await room.say(bob, 'one');
    const second = await fixture.sync(alice, { filter, since: first.next_batch });
    expect(second.rooms.join[room.roomId].timeline.limited).toBe(true);
    expect(members(second)).toContain('carol');
  });

  test('are all told where the client does not load lazily', async () => {
    await room.say(alice, 'hello');
    const body = await fixture.sync(alice, { filter: { room: { timeline: { limit: 1 } } } });
    expect(members(body)).toEqual(['alice', 'bob', 'carol']);
  });
});

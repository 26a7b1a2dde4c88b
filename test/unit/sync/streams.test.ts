import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { EventId, RoomId, UserId } from '../../../src/matrix/ids.ts';
import type { ReceiptType } from '../../../src/storage/contract/receipts.ts';
import { RoomBuilder } from '../../support/room-builder.ts';
import { type Body, SyncFixture } from '../../support/sync-fixture.ts';

let fixture: SyncFixture;
let alice: string;
let bob: string;
let carol: string;
let room: RoomBuilder;

beforeAll(async () => {
  fixture = await SyncFixture.open();
});

beforeEach(async () => {
  ({ alice, bob, carol } = fixture.freshPeople());
  room = await RoomBuilder.create(fixture.storage, alice);
  await room.join(bob);
});

async function receipt(
  userId: string,
  eventId: string,
  more: { type?: ReceiptType; threadId?: string; ts?: number } = {},
) {
  await fixture.storage.commit({
    rows: [
      {
        kind: 'receipt',
        roomId: room.roomId,
        userId: userId as UserId,
        receiptType: more.type ?? 'm.read',
        threadId: more.threadId ?? null,
        eventId: eventId as EventId,
        ts: more.ts ?? 1,
      },
    ],
  });
}

async function ephemeral(userId: string, since: string | null, filter?: unknown): Promise<Body[] | undefined> {
  const body = await fixture.sync(userId, { since, ...(filter ? { filter } : {}) });
  return body.rooms?.join?.[room.roomId]?.ephemeral.events;
}

describe('account data', () => {
  test('of the account and of rooms is told, all in an initial sync and then what changed', async () => {
    await fixture.accountData(alice, 'm.direct', { [bob]: [room.roomId] });
    await fixture.accountData(alice, 'm.tag', { tags: { 'm.favourite': {} } }, room.roomId);
    const first = await fixture.sync(alice);
    expect(first.account_data.events).toContainEqual({ type: 'm.direct', content: { [bob]: [room.roomId] } });
    expect(first.rooms.join[room.roomId].account_data.events).toEqual([
      { type: 'm.tag', content: { tags: { 'm.favourite': {} } } },
    ]);
    await fixture.accountData(alice, 'm.tag', { tags: {} }, room.roomId);
    const second = await fixture.sync(alice, { since: first.next_batch });
    expect(second).not.toHaveProperty('account_data');
    expect(second.rooms.join[room.roomId]).toMatchObject({
      account_data: { events: [{ type: 'm.tag', content: { tags: {} } }] },
      timeline: { events: [], limited: false },
    });
  });

  test('is nobody else’s', async () => {
    await fixture.accountData(bob, 'org.example', { secret: 1 });
    await fixture.accountData(bob, 'org.example', { secret: 1 }, room.roomId);
    const body = await fixture.sync(alice);
    expect(body.account_data.events.map((event: Body) => event.type)).toEqual(['m.push_rules']);
    expect(body.rooms.join[room.roomId].account_data.events).toEqual([]);
  });

  test('passes the filter by its type', async () => {
    await fixture.accountData(alice, 'org.a', {});
    await fixture.accountData(alice, 'org.b', {});
    await fixture.accountData(alice, 'org.a', {}, room.roomId);
    await fixture.accountData(alice, 'org.b', {}, room.roomId);
    const filter = { account_data: { types: ['org.a'] }, room: { account_data: { not_types: ['org.a'] } } };
    const body = await fixture.sync(alice, { filter });
    expect(body.account_data.events.map((event: Body) => event.type)).toEqual(['org.a']);
    expect(body.rooms.join[room.roomId].account_data.events.map((event: Body) => event.type)).toEqual(['org.b']);
  });

  test('of a room that was left meanwhile comes with it', async () => {
    const { next_batch: since } = await fixture.sync(alice);
    await fixture.accountData(alice, 'm.tag', { tags: {} }, room.roomId);
    await room.leave(alice);
    const { leave } = (await fixture.sync(alice, { since })).rooms;
    expect(leave[room.roomId].account_data.events).toEqual([{ type: 'm.tag', content: { tags: {} } }]);
  });
});

describe('receipts', () => {
  test('are told with the thread they are for, the private ones to their owner only', async () => {
    const event = await room.say(alice, 'read me');
    const { next_batch: since } = await fixture.sync(alice);
    await receipt(bob, event, { threadId: 'main', ts: 7 });
    await receipt(bob, event, { type: 'm.read.private', ts: 8 });
    await receipt(alice, event, { type: 'm.read.private', ts: 9 });
    expect(await ephemeral(alice, since)).toEqual([
      {
        type: 'm.receipt',
        content: {
          [event]: {
            'm.read': { [bob]: { ts: 7, thread_id: 'main' } },
            'm.read.private': { [alice]: { ts: 9 } },
          },
        },
      },
    ]);
  });

  test('of one user for one event in two threads are both told', async () => {
    const event = await room.say(alice, 'read me');
    const { next_batch: since } = await fixture.sync(alice);
    await receipt(bob, event, { ts: 1 });
    await receipt(bob, event, { threadId: 'main', ts: 2 });
    const told = (await ephemeral(alice, since)) ?? [];
    expect(told.map((entry) => entry.content[event]['m.read'][bob])).toEqual([{ ts: 1 }, { ts: 2, thread_id: 'main' }]);
  });

  test('of ignored users are not told', async () => {
    await fixture.accountData(alice, 'm.ignored_user_list', { ignored_users: { [bob]: {} } });
    const event = await room.say(alice, 'read me');
    const { next_batch: since } = await fixture.sync(alice);
    await receipt(bob, event);
    expect(await ephemeral(alice, since)).toBeUndefined();
  });

  test('are held back by the filter', async () => {
    const event = await room.say(alice, 'read me');
    const { next_batch: since } = await fixture.sync(alice);
    await receipt(bob, event);
    fixture.typing.set(room.roomId, bob);
    const only = await ephemeral(alice, since, { room: { ephemeral: { not_types: ['m.receipt'] } } });
    expect(only?.map((entry) => entry.type)).toEqual(['m.typing']);
    expect(await ephemeral(alice, since, { room: { ephemeral: { types: [] } } })).toBeUndefined();
  });
});

describe('typing', () => {
  test('is told when it changes, down to nobody', async () => {
    const { next_batch: since } = await fixture.sync(alice);
    fixture.typing.set(room.roomId, bob);
    const body = await fixture.sync(alice, { since });
    expect(body.rooms.join[room.roomId].ephemeral.events).toEqual([{ type: 'm.typing', content: { user_ids: [bob] } }]);
    expect((await fixture.sync(alice, { since: body.next_batch })).next_batch).toBe(body.next_batch);
    fixture.typing.set(room.roomId);
    expect(await ephemeral(alice, body.next_batch)).toEqual([{ type: 'm.typing', content: { user_ids: [] } }]);
  });

  test('of rooms that the viewer is not in is not told', async () => {
    const { next_batch: since } = await fixture.sync(carol);
    fixture.typing.set(room.roomId, bob);
    expect((await fixture.sync(carol, { since })).next_batch).toBe(since);
  });

  test('is told as it stands to a client whose token is from before a restart', async () => {
    const { next_batch: since } = await fixture.sync(alice);
    fixture.typing.set(room.roomId, bob);
    const known = await fixture.sync(alice, { since });
    fixture.typing.epoch = 'e2';
    expect(await ephemeral(alice, known.next_batch)).toEqual([{ type: 'm.typing', content: { user_ids: [bob] } }]);
    fixture.typing.set(room.roomId);
    expect(await ephemeral(alice, known.next_batch)).toBeUndefined();
    fixture.typing.epoch = 'e1';
  });

  test('leaves ignored users out', async () => {
    await fixture.accountData(alice, 'm.ignored_user_list', { ignored_users: { [bob]: {} } });
    const { next_batch: since } = await fixture.sync(alice);
    fixture.typing.set(room.roomId, bob, carol);
    expect(await ephemeral(alice, since)).toEqual([{ type: 'm.typing', content: { user_ids: [carol] } }]);
  });
});

describe('presence', () => {
  test('is handed on as it was addressed, and its part of the token comes back to it', async () => {
    fixture.presence.tell(bob);
    const body = await fixture.sync(alice);
    expect(body.presence.events).toEqual([{ type: 'm.presence', sender: bob, content: {} }]);
    await fixture.sync(alice, { since: body.next_batch });
    expect(fixture.presence.asked).toEqual(['1']);
    // There is nothing more, so it is not read again.
    expect(fixture.presence.reads.map((read) => read.since)).toEqual([null]);
    expect(fixture.presence.reads[0]).toMatchObject({ viewer: alice, deviceId: 'DEVICE' });
  });

  test('passes the filter by types, senders and not_senders', async () => {
    fixture.presence.tell(bob);
    fixture.presence.tell(carol);
    const told = async (presence: unknown) =>
      ((await fixture.sync(alice, { filter: { presence } })).presence?.events ?? []).map((event: Body) => event.sender);
    expect(await told({})).toEqual([bob, carol]);
    expect(await told({ senders: [bob] })).toEqual([bob]);
    expect(await told({ not_senders: [bob] })).toEqual([carol]);
    expect(await told({ types: ['m.other'] })).toEqual([]);
    expect(await told({ not_types: ['m.presence'] })).toEqual([]);
  });

  const newlyShared = () => [...(fixture.presence.reads.at(-1)?.newlyShared ?? [])];

  test('is asked about those who newly joined a room of the viewer', async () => {
    const { next_batch: since } = await fixture.sync(alice);
    await room.join(carol);
    await fixture.sync(alice, { since });
    expect(newlyShared()).toEqual([carol]);
  });

  test('is asked about the members of a room that the viewer newly joined', async () => {
    const { next_batch: since } = await fixture.sync(carol);
    await room.join(carol);
    await fixture.sync(carol, { since });
    expect(newlyShared().sort()).toEqual([alice, bob].sort());
  });

  test('is asked about nobody for a change of profile, an invite, or a join elsewhere', async () => {
    const { next_batch: since } = await fixture.sync(alice);
    await room.join(bob, { displayname: 'Bob' });
    await room.member(alice, carol, 'invite');
    await RoomBuilder.create(fixture.storage, carol);
    await fixture.sync(alice, { since });
    expect(newlyShared()).toEqual([]);
  });

  test('hears how each request wants to be seen, from its start to its end', async () => {
    await fixture.sync(alice, { setPresence: 'unavailable', setPresenceWritten: true });
    await fixture.sync(alice);
    expect(fixture.presence.begun).toEqual([
      { userId: alice, deviceId: 'DEVICE', setPresence: 'unavailable', written: true },
      { userId: alice, deviceId: 'DEVICE', setPresence: 'online', written: false },
    ]);
    expect(fixture.presence.running).toBe(0);
  });
});

test('rooms without news are asked for nothing', async () => {
  const fixture = await SyncFixture.open({ remembers: false });
  const room = await RoomBuilder.create(fixture.storage, alice);
  await room.join(bob);
  for (let index = 0; index < 5; index++) await RoomBuilder.create(fixture.storage, alice);
  const { next_batch: since } = await fixture.sync(alice);
  await room.say(bob, 'news');
  const asked: RoomId[] = [];
  const { events } = fixture.storage;
  const listTimelines = events.listTimelines.bind(events);
  const spied = {
    ...events,
    listTimelines: (...args: Parameters<typeof listTimelines>) => {
      asked.push(...args[0].map(({ roomId }) => roomId));
      return listTimelines(...args);
    },
  };
  const before = fixture.storage.events;
  Object.defineProperty(fixture.storage, 'events', { value: spied, configurable: true });
  try {
    await fixture.sync(alice, { since });
  } finally {
    Object.defineProperty(fixture.storage, 'events', { value: before, configurable: true });
  }
  expect(asked).toEqual([room.roomId]);
});

import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { UserId } from '../../../src/matrix/ids.ts';
import { noKeys } from '../../support/key-fixture.ts';
import { settle } from '../../support/manual-clock.ts';
import { RoomBuilder } from '../../support/room-builder.ts';
import { brief, SyncFixture } from '../../support/sync-fixture.ts';

let fixture: SyncFixture;
let alice: string;
let bob: string;
let room: RoomBuilder;
let since: string;

beforeAll(async () => {
  // Some of these tests listen to what storage is asked.
  fixture = await SyncFixture.open({ remembers: false });
});

beforeEach(async () => {
  ({ alice, bob } = fixture.freshPeople());
  room = await RoomBuilder.create(fixture.storage, alice);
  since = (await fixture.sync(alice)).next_batch;
});

/** A request under way, and whether it was answered. */
function poll(asked: { timeoutMs?: number; signal?: AbortSignal; filter?: unknown; fullState?: boolean } = {}) {
  const state = { done: false };
  const answer = fixture.sync(alice, { since, timeoutMs: 30_000, ...asked }).finally(() => {
    state.done = true;
  });
  return { answer, state };
}

test('a poll with something to tell is answered at once', async () => {
  await room.say(alice, 'news');
  const body = await poll().answer;
  expect(brief(body.rooms.join[room.roomId].timeline.events)).toEqual(['news']);
});

test('a poll without is answered when something comes', async () => {
  const { answer, state } = poll();
  await settle();
  expect(state.done).toBe(false);
  await room.say(alice, 'news');
  expect(brief((await answer).rooms.join[room.roomId].timeline.events)).toEqual(['news']);
});

test('a poll is answered with its own token when its time is over, and not before', async () => {
  const { answer, state } = poll();
  await fixture.clock.advance(29_000);
  expect(state.done).toBe(false);
  await fixture.clock.advance(1_000);
  expect(await answer).toEqual({ next_batch: since, ...noKeys });
});

test('a poll with no time to wait is answered at once', async () => {
  expect((await poll({ timeoutMs: 0 }).answer).next_batch).toBe(since);
});

test('a full state is answered at once, whatever the time to wait', async () => {
  expect((await poll({ fullState: true }).answer).rooms.join).toHaveProperty([room.roomId]);
});

test('a wake without anything for this client lets it wait on for the rest of its time', async () => {
  const { answer, state } = poll({ filter: { room: { timeline: { types: ['org.example.rare'] } } } });
  await fixture.clock.advance(20_000);
  await room.say(alice, 'not asked for');
  fixture.wake(alice);
  await fixture.clock.advance(9_000);
  expect(state.done).toBe(false);
  await fixture.clock.advance(1_000);
  expect((await answer).next_batch).toBe(since);
});

test('what comes behind a fruitless wake is still told, and the token reaches behind both', async () => {
  const { answer } = poll({ filter: { room: { timeline: { types: ['org.example.rare'] } } } });
  await settle();
  await room.say(alice, 'not asked for');
  await settle();
  await room.send({ sender: alice, type: 'org.example.rare', content: { body: 'rare' } });
  const body = await answer;
  expect(brief(body.rooms.join[room.roomId].timeline.events)).toEqual(['rare']);
  expect((await fixture.sync(alice, { since: body.next_batch })).next_batch).toBe(body.next_batch);
});

test('a poll with the token of a quiet stretch begins behind it, unless it asks for something else', async () => {
  const rare = { room: { timeline: { types: ['org.example.rare'] } } };
  await room.say(alice, 'not asked for');
  const starts: number[] = [];
  const { rooms } = fixture.storage;
  const read = rooms.listMembershipChanges.bind(rooms);
  Object.defineProperty(fixture.storage, 'rooms', {
    configurable: true,
    value: {
      ...rooms,
      listMembershipChanges: (...args: Parameters<typeof read>) => {
        starts.push(args[1]);
        return read(...args);
      },
    },
  });
  try {
    await fixture.sync(alice, { since, filter: rare });
    const quietUpTo = fixture.storage.position();
    await RoomBuilder.create(fixture.storage, bob);
    await fixture.sync(alice, { since, filter: rare });
    const other = await fixture.sync(alice, { since });
    expect(starts).toEqual([starts[0], quietUpTo, starts[0]]);
    expect(brief(other.rooms.join[room.roomId].timeline.events)).toEqual(['not asked for']);
  } finally {
    Object.defineProperty(fixture.storage, 'rooms', { configurable: true, value: rooms });
  }
});

test('nothing falls between the reading and the waiting', async () => {
  const { events } = fixture.storage;
  const read = events.listRoomsChanged.bind(events);
  let stored = false;
  Object.defineProperty(fixture.storage, 'events', {
    configurable: true,
    value: {
      ...events,
      listRoomsChanged: async (...args: Parameters<typeof read>) => {
        const found = await read(...args);
        if (!stored) {
          stored = true;
          await room.say(alice, 'between');
        }
        return found;
      },
    },
  });
  await RoomBuilder.create(fixture.storage, bob);
  const { answer } = poll();
  try {
    expect(brief((await answer).rooms.join[room.roomId].timeline.events)).toEqual(['between']);
  } finally {
    Object.defineProperty(fixture.storage, 'events', { configurable: true, value: events });
  }
});

test.each([
  ['an invite', () => room.member(bob, alice, 'invite'), 'invite'],
  ['a message in a joined room', () => room.say(alice, 'news'), 'join'],
])('%s ends the wait', async (_, act, section) => {
  if (section === 'invite') {
    room = await RoomBuilder.create(fixture.storage, bob);
  }
  const { answer } = poll();
  await settle();
  await act();
  expect(Object.keys((await answer).rooms)).toEqual([section]);
});

test('account data ends the wait of its owner, also on another device', async () => {
  const { answer } = poll();
  await settle();
  await fixture.accountData(alice, 'org.example', { a: 1 });
  expect((await answer).account_data.events).toEqual([{ type: 'org.example', content: { a: 1 } }]);
});

test('presence and typing end the wait when they wake', async () => {
  const { answer } = poll();
  await settle();
  fixture.presence.tell(bob);
  fixture.typing.set(room.roomId, bob);
  fixture.wake(alice);
  const body = await answer;
  expect(body.presence.events).toHaveLength(1);
  expect(body.rooms.join[room.roomId].ephemeral.events).toHaveLength(1);
});

test('a client that goes away ends its wait', async () => {
  const abort = new AbortController();
  const { answer, state } = poll({ signal: abort.signal });
  await settle();
  expect(state.done).toBe(false);
  abort.abort();
  await answer;
  expect(fixture.presence.running).toBe(0);
});

test('a user is connected while they poll, counted by requests', async () => {
  const isConnected = () => fixture.roster.isConnected(alice as UserId);
  const [first, second] = [poll(), poll({ timeoutMs: 40_000 })];
  await settle();
  expect([isConnected(), fixture.presence.running]).toEqual([true, 2]);
  await fixture.clock.advance(30_000);
  await first.answer;
  expect(isConnected()).toBe(true);
  await fixture.clock.advance(10_000);
  await second.answer;
  expect([isConnected(), fixture.presence.running]).toEqual([false, 0]);
});

describe('a since', () => {
  test.each([['garbage'], [''], ['s1_1_e1.0'], ['t3_5'], ['s1_9007199254740991_e1.0_']])(
    'that is no token of this server is refused: %j',
    async (text) => {
      await expect(fixture.sync(alice, { since: text })).rejects.toMatchObject({
        status: 400,
        errcode: 'M_INVALID_PARAM',
      });
      expect(fixture.presence.running).toBe(0);
      expect(fixture.roster.isConnected(alice as UserId)).toBe(false);
    },
  );

  test('of another user is a place in time like any other', async () => {
    const { next_batch } = await fixture.sync(bob);
    await room.say(alice, 'news');
    const body = await fixture.sync(alice, { since: next_batch });
    expect(brief(body.rooms.join[room.roomId].timeline.events)).toEqual(['news']);
  });
});

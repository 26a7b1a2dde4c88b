import fc from 'fast-check';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { EventId, RoomId, UserId } from '../../../src/matrix/ids.ts';
import { propertyRuns } from '../../support/property-runs.ts';
import { RoomBuilder } from '../../support/room-builder.ts';
import { brief, SyncFixture } from '../../support/sync-fixture.ts';

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

/** How often storage is asked for events of rooms while this runs. */
async function countTimelineReads(act: () => Promise<unknown>): Promise<number> {
  const { events } = fixture.storage;
  let asked = 0;
  const { listTimeline, listTimelines } = events;
  Object.assign(events, {
    listTimeline: (...args: Parameters<typeof listTimeline>) => {
      asked += 1;
      return listTimeline(...args);
    },
    listTimelines: (...args: Parameters<typeof listTimelines>) => {
      asked += 1;
      return listTimelines(...args);
    },
  });
  try {
    await act();
  } finally {
    Object.assign(events, { listTimeline, listTimelines });
  }
  return asked;
}

test('a message is read from storage once, however many are told of it', async () => {
  const people = [alice, bob];
  for (let n = 0; n < 20; n += 1) {
    people.push(`@reader${n}${carol.slice(1)}`);
    await room.join(people.at(-1) ?? '');
  }
  const { next_batch: since } = await fixture.sync(alice);
  await room.say(bob, 'one');
  const asked = await countTimelineReads(async () => {
    const bodies = await Promise.all(people.map((userId) => fixture.sync(userId, { since })));
    for (const body of bodies) expect(brief(body.rooms.join[room.roomId].timeline.events)).toEqual(['one']);
  });
  expect(asked).toBeLessThanOrEqual(1);
});

test('the age of an event is told anew after a quarter of a second', async () => {
  const { next_batch: since } = await fixture.sync(alice);
  await room.say(bob, 'one');
  const ageOf = async (userId: string): Promise<number> =>
    (await fixture.sync(userId, { since })).rooms.join[room.roomId].timeline.events[0].unsigned.age;
  // What is unread is read once for each.
  for (const userId of [alice, bob]) await ageOf(userId);
  const first = await ageOf(alice);
  await fixture.clock.advance(250);
  expect(await ageOf(bob)).toBe(first);
  await fixture.clock.advance(1);
  expect(await ageOf(bob)).toBe(first + 251);
});

describe('somebody who is known to memory is told as by storage:', () => {
  let dora: string;
  let since: string;
  let before: EventId;
  let after: EventId;

  beforeEach(async () => {
    dora = `@dora${alice.slice(1)}`;
    room = await RoomBuilder.create(fixture.storage, alice, { historyVisibility: 'joined' });
    for (const userId of [bob, carol]) await room.join(userId);
    before = await room.say(bob, 'before');
    await room.join(dora);
    after = await room.say(bob, 'after');
    await fixture.accountData(dora, 'm.ignored_user_list', { ignored_users: { [carol]: {} } });
    since = (await fixture.sync(dora)).next_batch;
  });

  test.each<[what: string, told: string[], act: () => Promise<unknown>, timeline?: object]>([
    ['a message', ['said'], () => room.say(bob, 'said')],
    ['a message of an ignored user', [], () => room.say(carol, 'said')],
    ['a state event of an ignored user', ['m.room.name'], () => room.state(carol, 'm.room.name', { name: 'new' })],
    ['a redacted message', ['m.room.message'], async () => redact(await room.say(bob, 'said'))],
    ['more than the filter wants', ['2', '3'], () => room.sayMany(bob, ['1', '2', '3']), { limit: 2 }],
    ['what the filter wants not', [], () => room.say(bob, 'said'), { types: ['m.room.name'] }],
    ['a message behind a gap', ['said'], () => room.say(bob, 'said', { prevEvents: ['$never-seen'] })],
    ['a late message from before they came', [], () => comeLate(before, { sender: bob })],
    ['a late message since they came', ['late'], () => comeLate(after, { sender: bob })],
    ['a state event that lost', ['org.example'], () => comeLate(after, { sender: carol, stateType: 'org.example' })],
  ])('%s', async (_, told, act, timeline = {}) => {
    await act();
    const request = fixture.request(dora, { since, filter: { room: { timeline } } });
    const expected = JSON.parse(String(await fixture.far(request)));
    expect(brief(expected.rooms?.join[room.roomId].timeline.events ?? [])).toEqual(told);
    // The first of them may find nothing in memory, and brings it there.
    for (const _ of ['first', 'second', 'third'])
      expect(JSON.parse(String(await fixture.text(request)))).toEqual(expected);
  });
});

/** An event of the state in which an older one stands; with a type, a state event that state resolution refused. */
async function comeLate(beside: EventId, late: { sender: string; stateType?: string }): Promise<void> {
  const older = await fixture.storage.events.find(beside);
  const at = older?.snapshotAfter;
  if (!older || at === undefined) throw new Error('no such event');
  const { sender, stateType } = late;
  const what = stateType === undefined ? { type: 'm.room.message' } : { type: stateType, state_key: '' };
  const content = stateType === undefined ? { body: 'late' } : {};
  const pdu = { ...older.event.pdu, ...what, sender: sender as UserId, content };
  const event = { ...older.event, eventId: `${beside}-late` as EventId, pdu };
  const place = { verdict: 'accepted', placement: 'timeline', snapshotBefore: at, snapshotAfter: at } as const;
  await fixture.storage.commit({ rows: [{ kind: 'event', event, receivedAtMs: 1, ...place }] });
}

async function redact(eventId: EventId): Promise<void> {
  const stored = await fixture.storage.events.find(eventId);
  if (!stored) throw new Error('no such event');
  const redacted = { ...stored.event.pdu, content: {} };
  await fixture.storage.commit({ rows: [{ kind: 'redaction', eventId, redactedBy: eventId, redacted }] });
}

/** Does it once, while storage is asked for events of a room. */
async function whileRead(act: () => Promise<unknown>, read: () => Promise<unknown>): Promise<void> {
  const { events } = fixture.storage;
  const { listTimeline } = events;
  let left = 1;
  Object.assign(events, {
    listTimeline: async (...args: Parameters<typeof listTimeline>) => {
      left -= 1;
      if (left === 0) await act();
      return listTimeline(...args);
    },
  });
  try {
    await read();
  } finally {
    Object.assign(events, { listTimeline });
  }
  expect(left).toBeLessThanOrEqual(0);
}

test.each([
  ['a message', () => room.say(bob, 'meanwhile'), 'meanwhile'],
  ['a new name', () => room.state(bob, 'm.room.name', { name: 'new' }), 'm.room.name'],
  ['somebody who comes', () => room.join(carol), 'm.room.member carol'],
])('%s that comes while memory is filled is told once, in its place', async (_, act, told) => {
  let { next_batch: since } = await fixture.sync(alice);
  const seen: string[] = [];
  const read = async (): Promise<void> => {
    const body = await fixture.sync(alice, { since });
    since = body.next_batch;
    seen.push(...brief(body.rooms?.join[room.roomId].timeline.events ?? []));
  };
  await room.say(bob, 'one');
  await whileRead(act, read);
  await room.say(bob, 'two');
  await read();
  expect(seen).toEqual(['one', told, 'two']);
});

test('who left while memory is filled is told of it, and of nothing behind it', async () => {
  let { next_batch: since } = await fixture.sync(bob);
  const seen: string[] = [];
  const read = async (): Promise<void> => {
    const { rooms, next_batch } = await fixture.sync(bob, { since });
    since = next_batch;
    const part = (rooms.join ?? rooms.leave)[room.roomId];
    seen.push(...brief(part.timeline.events));
  };
  await room.say(alice, 'one');
  const leave = async (): Promise<void> => {
    await room.leave(bob);
    await room.say(alice, 'secret');
  };
  await whileRead(leave, read);
  expect(seen.filter((text) => text !== 'one')).toEqual(['m.room.member bob']);
});

/** What happens in one of two rooms, and how the next answer is asked for. */
const step = fc.record({
  what: fc.oneof(
    { weight: 6, arbitrary: fc.constant('message' as const) },
    {
      weight: 4,
      arbitrary: fc.constantFrom(
        'state',
        'resolve',
        'gap',
        'join',
        'leave',
        'redact',
        'receipt',
        'ignore',
        'data',
        'typing',
      ),
    },
  ),
  who: fc.nat(2),
  room: fc.nat(1),
  sync: fc.boolean(),
  limit: fc.constantFrom(undefined, 0, 1, 3, 100),
  lazy: fc.boolean(),
  stateAfter: fc.boolean(),
  types: fc.constantFrom(undefined, ['m.room.message'], ['m.room.name']),
  notRoom: fc.oneof({ weight: 5, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

async function act(rooms: readonly RoomBuilder[], people: readonly string[], said: EventId[], what: Step) {
  const at = rooms[what.room];
  const who = people[what.who];
  if (!at || who === undefined) throw new Error('no such room');
  const userId = who as UserId;
  switch (what.what) {
    case 'message':
      said.push(await at.say(who, 'hello', { transaction: { deviceId: 'DEVICE', transactionId: `t${said.length}` } }));
      break;
    case 'gap':
      await at.say(who, 'behind a gap', { prevEvents: ['$never-seen'] });
      break;
    case 'state':
      await at.state(who, 'm.room.name', { name: `${said.length}` });
      break;
    case 'resolve':
      await at.resolveTo('m.room.name', null);
      break;
    case 'join':
      await at.join(who);
      break;
    case 'leave':
      await at.leave(who);
      break;
    case 'redact': {
      const eventId = said.at(-1);
      if (eventId !== undefined) await redact(eventId);
      break;
    }
    case 'receipt': {
      const eventId = said.at(-1);
      if (eventId === undefined) break;
      const receipt = { roomId: at.roomId, userId, receiptType: 'm.read' as const, threadId: null, eventId, ts: 1 };
      await fixture.storage.commit({ rows: [{ kind: 'receipt', ...receipt }] });
      break;
    }
    case 'ignore':
      await fixture.accountData(who, 'm.ignored_user_list', { ignored_users: { [people[1] ?? '']: {} } });
      break;
    case 'data':
      await fixture.accountData(who, 'org.example', { n: said.length }, at.roomId);
      break;
    case 'typing':
      fixture.typing.set(at.roomId, who);
      break;
  }
}

function askedBy(what: Step, rooms: readonly RoomBuilder[]) {
  const notRooms = what.notRoom ? { not_rooms: rooms.slice(0, 1).map(({ roomId }): RoomId => roomId) } : {};
  return {
    useStateAfter: what.stateAfter ? ('stable' as const) : ('no' as const),
    filter: JSON.stringify({
      room: {
        ...notRooms,
        timeline: { limit: what.limit, types: what.types },
        state: { lazy_load_members: what.lazy },
      },
    }),
  };
}

test('whatever happens, what memory answers at once is what storage answers', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      const { alice: viewer, bob: other, carol: third } = fixture.freshPeople();
      const people = [viewer, other, third];
      const rooms = [
        await RoomBuilder.create(fixture.storage, viewer),
        await RoomBuilder.create(fixture.storage, other, { historyVisibility: 'joined' }),
      ];
      const said: EventId[] = [];
      let since: string | null = null;
      for (const what of steps) {
        await act(rooms, people, said, what);
        if (!what.sync) continue;
        const request = { ...fixture.request(viewer, { since }), ...askedBy(what, rooms) };
        const told = JSON.parse(String(await fixture.far(request)));
        // The first of them may find nothing in memory, and brings it there.
        for (const _ of ['first', 'second']) expect(JSON.parse(String(await fixture.text(request)))).toEqual(told);
        since = told.next_batch;
      }
    }),
    { numRuns: propertyRuns(150) },
  );
});

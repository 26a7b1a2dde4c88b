import fc from 'fast-check';
import { beforeAll, beforeEach, expect, test } from 'vitest';
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
      const stored = eventId === undefined ? undefined : await fixture.storage.events.find(eventId);
      if (!stored || eventId === undefined) break;
      const redacted = { ...stored.event.pdu, content: {} };
      await fixture.storage.commit({ rows: [{ kind: 'redaction', eventId, redactedBy: eventId, redacted }] });
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
        const text: string = await fixture.text(request);
        expect(JSON.parse(text)).toEqual(JSON.parse(await fixture.far(request)));
        since = JSON.parse(text).next_batch;
      }
    }),
    { numRuns: propertyRuns(150) },
  );
});

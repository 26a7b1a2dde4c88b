import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { LongText } from '../../../src/base/json/long-text.ts';
import { RoomBuilder } from '../../support/room-builder.ts';
import { type Body, SyncFixture } from '../../support/sync-fixture.ts';

const rooms = 70;
const people = ['@ann:a', '@ben:a', '@cat:a', '@dan:a', '@eve:a'];

let fixture: SyncFixture;
let builders: RoomBuilder[];

beforeEach(async () => {
  fixture = await SyncFixture.open({ remembers: false });
  builders = [];
  for (let n = 0; n < rooms; n += 1) {
    const room = await RoomBuilder.create(fixture.storage, '@owner:a');
    await room.joinMany(people);
    await room.say('@owner:a', 'hello');
    builders.push(room);
  }
});
afterEach(() => vi.restoreAllMocks());

/** Readings of rooms' states that run at the same time, at most, and of how many rooms each. */
function watchReadings(): { most: number; rooms: number[] } {
  const seen = { most: 0, rooms: [] as number[] };
  const { state } = fixture.storage;
  const read = state.listCurrentOfRooms;
  let running = 0;
  vi.spyOn(state, 'listCurrentOfRooms').mockImplementation(async (roomIds, members) => {
    running += 1;
    seen.most = Math.max(seen.most, running);
    seen.rooms.push(roomIds.size);
    await new Promise((resolve) => setImmediate(resolve));
    const found = await read(roomIds, members);
    running -= 1;
    return found;
  });
  return seen;
}

describe('an answer of many rooms', () => {
  it('is read some dozens of rooms at a time', async () => {
    const seen = watchReadings();
    const body = await fixture.sync(people[0] ?? '');
    expect(Object.keys(body.rooms.join)).toHaveLength(rooms);
    expect(seen.rooms.length).toBeGreaterThan(1);
    expect(seen.rooms.reduce((sum, size) => sum + size, 0)).toBe(rooms);
  });

  it('is one of two that are read at once, and all of them are whole', async () => {
    const seen = watchReadings();
    const bodies = await Promise.all(people.map((userId) => fixture.sync(userId)));
    expect(seen.most).toBe(2);
    for (const body of bodies) expect(Object.keys(body.rooms.join)).toHaveLength(rooms);
  });

  it('holds up no answer of few rooms', async () => {
    const room = await RoomBuilder.create(fixture.storage, '@lone:a');
    const { state } = fixture.storage;
    const read = state.listCurrentOfRooms;
    let letGo = (): void => {};
    const released = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    vi.spyOn(state, 'listCurrentOfRooms').mockImplementation(async (roomIds, members) => {
      if (roomIds.size > 1) await released;
      return read(roomIds, members);
    });
    const large = Promise.all(people.map((userId) => fixture.sync(userId)));
    const body = await fixture.sync('@lone:a');
    expect(Object.keys(body.rooms.join)).toEqual([room.roomId]);
    letGo();
    for (const { rooms: found } of await large) expect(Object.keys(found.join)).toHaveLength(rooms);
  });

  it('is of one moment although others have turns while it is written out', async () => {
    const viewer = people[0] ?? '';
    const words = (body: Body): string[] =>
      Object.values<Body>(body.rooms?.join ?? {})
        .flatMap(({ timeline }) => timeline.events.map((event: Body) => String(event.content.body)))
        .filter((text) => text.startsWith('meanwhile'));
    let passedMs = 0;
    vi.spyOn(systemClock, 'monotonic').mockImplementation(() => {
      passedMs += 6;
      return passedMs;
    });
    let isOver = false;
    const answering = fixture.text(fixture.request(viewer)).finally(() => {
      isOver = true;
    });
    const said: string[] = [];
    for (let n = 0; !isOver; n += 1) {
      // From the first room to the last and back, so that it meets rooms before and after they are written out.
      await builders[n % rooms]?.say('@owner:a', `meanwhile ${n}`);
      said.push(`meanwhile ${n}`);
    }
    const answer = await answering;
    expect(answer).toBeInstanceOf(LongText);
    const first = JSON.parse(String(answer));
    const next = await fixture.sync(viewer, {
      since: first.next_batch,
      filter: { room: { timeline: { limit: 100 } } },
    });
    expect(said.length).toBeGreaterThan(10);
    expect(words(first).length).toBeLessThan(said.length);
    expect([...words(first), ...words(next)].sort()).toEqual(said.sort());
  });
});

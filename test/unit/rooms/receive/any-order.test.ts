import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import type { EventId, RoomId, UserId } from '../../../../src/matrix/ids.ts';
import type { JsonObject, RoomEvent, StateMap } from '../../../../src/matrix/pdu.ts';
import { supportedRoomVersions } from '../../../../src/matrix/room-versions.ts';
import { propertyRuns } from '../../../support/property-runs.ts';
import { alice, bob, carol, type Step, sketchOf, step } from '../../engine/state-res/random-room.ts';
import { type TestHome, World } from '../world.ts';
import { ForkAuthor } from './fork-author.ts';

let world: World | undefined;
/** Hears of everything in the order in which it was written. */
let reference: TestHome;
/** Hear of everything in orders of their own. */
let others: readonly TestHome[];
let room = 0;

/** A new one now and then: the random ids of a test home come again after a while. */
async function createWorld(): Promise<void> {
  await world?.stop();
  world = new World();
  reference = await world.add('a.test');
  for (const name of ['b.test', 'c.test', 'd.test']) await world.add(name);
  others = [await world.add('x.test'), await world.add('y.test')];
  await reference.user('alice');
}
afterAll(() => world?.stop());

/** A room that all of them are in, each with a user who does nothing. */
async function createRoom(version: string): Promise<{ in: World; roomId: RoomId }> {
  if (room % 50 === 0) await createWorld();
  const here = world ?? new World();
  const roomId = await reference.rooms.creating.createRoom(alice as UserId, {
    preset: 'public_chat',
    room_version: version,
  });
  room += 1;
  for (const home of [reference, ...others]) {
    const userId = await home.user(`user${room}`);
    await home.rooms.membership.join({ roomId, userId, servers: [reference.name], content: {} });
    await here.deliver();
  }
  return { in: here, roomId };
}

interface Written {
  readonly events: readonly RoomEvent[];
  /** Names all ends; sent by somebody who is in the room there. Undefined where nobody is. */
  readonly merge: RoomEvent | undefined;
  readonly stateBefore: StateMap;
}

/** Bob and Carol join, then the steps are tried on three branches, which now and then grow together. */
async function write(author: ForkAuthor, from: readonly EventId[], steps: readonly Step[]): Promise<Written> {
  const events: RoomEvent[] = [];
  let base = from;
  const add = async (prev: readonly EventId[], sketch: Parameters<ForkAuthor['write']>[1]) => {
    const event = await author.write(prev, sketch);
    if (event) events.push(event);
    return event;
  };
  for (const sender of [bob, carol]) {
    const joined = await add(base, {
      type: 'm.room.member',
      stateKey: sender,
      sender,
      content: { membership: 'join' },
    });
    if (joined) base = [joined.eventId];
  }
  const ends: (readonly EventId[])[] = [base, base, base];
  for (const each of steps) {
    const prev =
      each.ts === 6 ? [...new Set([...(ends[each.fork] ?? []), ...(ends[0] ?? [])])] : (ends[each.fork] ?? []);
    const levels = author.contentAt(await author.stateBehind(prev), 'm.room.power_levels') ?? {};
    const event = await add(prev, { ...sketchOf(each, levels), ts: each.ts });
    if (event) ends[each.fork] = [event.eventId];
  }
  const all = [...new Set(ends.flat())];
  const stateBefore = await author.stateBehind(all);
  const sender = [alice, bob, carol].find(
    (user) => author.contentAt(stateBefore, 'm.room.member', user)?.membership === 'join',
  );
  const merge =
    sender === undefined ? undefined : await add(all, { type: 'm.room.topic', stateKey: '', sender, ts: 9 });
  return { events, merge, stateBefore };
}

async function receive(home: TestHome, roomId: RoomId, events: readonly RoomEvent[]): Promise<void> {
  for (const { pdu } of events) {
    const json = JSON.parse(JSON.stringify(pdu)) as JsonObject;
    await home.rooms.receiver.receivePdus({ origin: reference.name, roomId, pdus: [json] });
    await home.rooms.idle();
  }
}

/** Lets time pass until what waited has been looked at again, one after the other. */
async function waitFor({ clock }: World, home: TestHome, eventId: EventId): Promise<void> {
  for (let round = 0; round < 200; round += 1) {
    await home.rooms.idle();
    if ((await home.storage.events.find(eventId))?.snapshotBefore) return;
    await clock.advance(5_000);
  }
}

async function stateBefore(home: TestHome, eventId: EventId): Promise<[string, string][]> {
  const stored = await home.storage.events.find(eventId);
  if (!stored || stored.snapshotBefore === null) return [[home.name, 'does not have it']];
  return sorted(await home.storage.state.getSnapshot(stored.snapshotBefore));
}

function sorted(state: StateMap): [string, string][] {
  return [...state].sort(([x], [y]) => (x < y ? -1 : 1));
}

describe('the events of a room that forked', () => {
  it('lead every server to the same state, whatever the order in which they come', async () => {
    let forked = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...supportedRoomVersions),
        fc.array(step, { minLength: 4, maxLength: 14 }),
        fc.infiniteStream(fc.nat()),
        fc.boolean(),
        async (version, steps, stream, alone) => {
          const { in: here, roomId } = await createRoom(version);
          const { author, ends } = await ForkAuthor.continue(here, reference, roomId);
          const written = await write(author, ends, steps);
          const { merge } = written;
          if (!merge) return;
          if ((merge.pdu.prev_events.length ?? 0) > 1) forked += 1;
          await receive(reference, roomId, written.events);
          const expected = sorted(written.stateBefore);
          expect(await stateBefore(reference, merge.eventId)).toEqual(expected);
          for (const home of others) {
            // What builds on something that is missing waits for it, whether it can be asked for or not.
            if (alone) home.unreachable.add(reference.name);
            await receive(home, roomId, shuffled(written.events, stream));
            await waitFor(here, home, merge.eventId);
            home.unreachable.clear();
            expect(await stateBefore(home, merge.eventId)).toEqual(expected);
          }
        },
      ),
      { numRuns: propertyRuns(12) },
    );
    expect(forked).toBeGreaterThan(3);
  });
});

function shuffled<T>(items: readonly T[], stream: Iterator<number>): T[] {
  return items
    .map((item) => ({ item, at: stream.next().value as number }))
    .sort((x, y) => x.at - y.at)
    .map(({ item }) => item);
}

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRecentReads, type RecentReads } from '../../../src/feed/recent-reads.ts';
import type { EventId, RoomId, UserId } from '../../../src/matrix/ids.ts';
import type { TimelineEvent } from '../../../src/storage/contract/events.ts';
import type { Storage } from '../../../src/storage/contract/storage.ts';
import { propertyRuns } from '../../support/property-runs.ts';
import { RoomBuilder } from '../../support/room-builder.ts';
import { openTestStorage } from '../../support/storage.ts';

const people = ['@alice:a', '@bob:a', '@carol:b'] as const;
const alice = '@alice:a' as UserId;

async function setUp(): Promise<{ storage: Storage; recent: RecentReads; rooms: RoomBuilder[] }> {
  const storage = await openTestStorage();
  const recent = createRecentReads(storage);
  storage.onCommit((changes) => recent.apply(changes));
  return {
    storage,
    recent,
    rooms: [await RoomBuilder.create(storage, alice), await RoomBuilder.create(storage, alice)],
  };
}

/** What somebody does in one of two rooms. */
const step = fc.record({
  what: fc.constantFrom('message', 'join', 'leave', 'name', 'redact', 'receipt', 'account data', 'ignore', 'read'),
  who: fc.constantFrom(...people),
  room: fc.integer({ min: 0, max: 1 }),
  /** How far back a reading begins, and how many events it asks for. */
  back: fc.integer({ min: 0, max: 12 }),
  limit: fc.integer({ min: 1, max: 6 }),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

class World {
  readonly #storage: Storage;
  readonly #recent: RecentReads;
  readonly #rooms: readonly RoomBuilder[];
  readonly #sent: EventId[] = [];
  readonly #positions: number[] = [];

  constructor({ storage, recent, rooms }: Awaited<ReturnType<typeof setUp>>) {
    this.#storage = storage;
    this.#recent = recent;
    this.#rooms = rooms;
  }

  async play({ what, who, room: index, back, limit }: Step): Promise<void> {
    const room = this.#rooms[index];
    if (!room) throw new Error('no such room');
    const userId = who as UserId;
    const storage = this.#storage;
    switch (what) {
      case 'message':
        this.#sent.push(
          await room.send({ sender: who, type: 'm.room.message', content: { body: `${this.#sent.length}` } }),
        );
        break;
      case 'join':
        await room.join(who);
        break;
      case 'leave':
        await room.leave(who);
        break;
      case 'name':
        this.#sent.push(await room.state(who, 'm.room.name', { name: `${this.#sent.length}` }));
        break;
      case 'redact': {
        const eventId = this.#sent[back % Math.max(1, this.#sent.length)];
        const stored = eventId === undefined ? undefined : await storage.events.find(eventId);
        if (!stored || eventId === undefined) break;
        const redacted = { ...stored.event.pdu, content: {} };
        await storage.commit({ rows: [{ kind: 'redaction', eventId, redactedBy: eventId, redacted }] });
        break;
      }
      case 'receipt': {
        const eventId = this.#sent.at(-1);
        if (eventId === undefined) break;
        const receipt = { roomId: room.roomId, userId, receiptType: 'm.read' as const, threadId: null, eventId, ts: 1 };
        await storage.commit({ rows: [{ kind: 'receipt', ...receipt }] });
        break;
      }
      case 'account data':
      case 'ignore': {
        const type = what === 'ignore' ? 'm.ignored_user_list' : 'm.direct';
        const content = { n: this.#sent.length };
        await storage.commit({ rows: [{ kind: 'account_data', userId, roomId: null, type, content }] });
        break;
      }
      case 'read':
        break;
    }
    this.#positions.push(storage.position());
    await this.#compare(back, limit);
  }

  /** Every reading as a `/sync` would make it, from both. */
  async #compare(back: number, limit: number): Promise<void> {
    const after = this.#positions.at(-1 - back) ?? 0;
    const upTo = this.#storage.position();
    expect(await this.#readAll(this.#recent.storage, after, upTo, limit)).toEqual(
      await this.#readAll(this.#storage, after, upTo, limit),
    );
  }

  async #readAll(storage: RecentReads['storage'], after: number, upTo: number, limit: number) {
    const ids: ReadonlySet<RoomId> = new Set(this.#rooms.map(({ roomId }) => roomId));
    const changed = new Set([...(await storage.events.listRoomsChanged(ids, after, upTo))]);
    const all = {
      changed: [...changed].sort(),
      gaps: await storage.events.listGaps(ids, after, upTo),
      states: await storage.state.listCurrentChanges(ids, after, upTo),
      receipts: await storage.receipts.listSince(ids, after, upTo),
      joined: await storage.rooms.listNewlyJoined(ids, after, upTo),
      departures: await storage.rooms.listDepartures(ids, after, upTo),
      byId: new Map(
        (await storage.events.listByIds(this.#sent)).map(({ event, redactedBy }) => [
          event.eventId,
          [event.pdu.content, redactedBy],
        ]),
      ),
    };
    const timelines = [];
    for (const roomId of ids) {
      timelines.push(await storage.events.listTimeline(roomId, after, upTo, limit));
      timelines.push(await storage.state.findCurrentSnapshot(roomId));
      for (const who of people) timelines.push(await storage.rooms.findMembership(roomId, who as UserId));
    }
    const pages = [...ids].map((roomId) => ({ roomId, after, upTo }));
    const many = [
      await storage.events.listTimelines(pages, limit),
      await storage.events.listTimelines([...pages, ...pages, ...pages], limit),
      await storage.state.listCurrentSnapshots(ids),
      sorted(await storage.state.listCurrentOfRooms(ids, 'all')),
      sorted(await storage.state.listCurrentOfRooms(new Set([...ids].slice(0, 1)), 'all')),
      sorted(await storage.state.listCurrentOfRooms(ids, new Map([...ids].map((roomId) => [roomId, [alice]])))),
      await storage.rooms.listMembershipsIn(alice, new Set([...ids].slice(0, 1))),
      await storage.rooms.listMembershipsIn(alice, ids),
    ];
    const own = [];
    for (const who of people as readonly string[]) {
      own.push(await storage.rooms.listMembershipChanges(who as UserId, after, upTo));
      own.push(await storage.accountData.listSince(who as UserId, after, upTo));
      own.push(await storage.accountData.find(who as UserId, null, 'm.ignored_user_list'));
    }
    return { ...all, timelines, many, own };
  }
}

/** In no order that anybody counts on. */
function sorted(states: ReadonlyMap<RoomId, readonly TimelineEvent[]>) {
  return [...states]
    .map(([roomId, events]) => [roomId, events.toSorted((a, b) => (a.eventId < b.eventId ? -1 : 1))] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1));
}

describe('readings from memory', () => {
  it('are those of the storage, whatever happened and however far back they begin', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40 }), async (steps) => {
        const parts = await setUp();
        const world = new World(parts);
        for (const one of steps) await world.play(one);
        await parts.storage.stop();
      }),
      { numRuns: propertyRuns(30) },
    );
  });

  it('ask the storage for nothing where nothing happened', async () => {
    const { storage, recent, rooms } = await setUp();
    const ids = new Set(rooms.map(({ roomId }) => roomId));
    const after = storage.position();
    await rooms[0]?.send({ sender: alice, type: 'm.room.message', content: {} });
    const refuse = () => Promise.reject(new Error('the storage was asked'));
    storage.state.listCurrentChanges = refuse;
    storage.receipts.listSince = refuse;
    storage.rooms.listMembershipChanges = refuse;
    storage.rooms.listNewlyJoined = refuse;
    storage.rooms.listDepartures = refuse;
    storage.accountData.listSince = refuse;
    const upTo = storage.position();
    expect(await recent.storage.events.listRoomsChanged(ids, after, upTo)).toEqual([rooms[0]?.roomId]);
    expect(await recent.storage.state.listCurrentChanges(ids, after, upTo)).toEqual(new Map());
    expect(await recent.storage.receipts.listSince(ids, after, upTo)).toEqual([]);
    expect(await recent.storage.rooms.listMembershipChanges(alice, after, upTo)).toEqual([]);
    expect(await recent.storage.rooms.listNewlyJoined(ids, after, upTo)).toEqual([]);
    expect(await recent.storage.rooms.listDepartures(ids, after, upTo)).toEqual([]);
    expect(await recent.storage.accountData.listSince(alice, after, upTo)).toEqual([]);
  });

  it('read the whole state of a room once for all who begin with it, and again when it changed', async () => {
    const { storage, recent, rooms } = await setUp();
    const [room, other] = rooms;
    if (!room || !other) throw new Error('two rooms');
    const asked: RoomId[][] = [];
    const { listCurrentOfRooms } = storage.state;
    storage.state.listCurrentOfRooms = (roomIds, members) => {
      asked.push([...roomIds]);
      return listCurrentOfRooms(roomIds, members);
    };
    const both = new Set([room.roomId, other.roomId]);
    const namesOf = async () =>
      ((await recent.storage.state.listCurrentOfRooms(both, 'all')).get(room.roomId) ?? []).filter(
        ({ type }) => type === 'm.room.name',
      );
    await namesOf();
    await room.send({ sender: alice, type: 'm.room.message', content: {} });
    expect(await namesOf()).toHaveLength(0);
    await room.state(alice, 'm.room.name', { name: 'tea' });
    expect(await namesOf()).toHaveLength(1);
    await namesOf();
    expect(asked).toEqual([[room.roomId, other.roomId], [room.roomId]]);
  });

  it('do not keep a state that changed while it was read, nor what a reader does to theirs', async () => {
    const { storage, recent, rooms } = await setUp();
    const [room] = rooms;
    if (!room) throw new Error('a room');
    const { listCurrentOfRooms } = storage.state;
    storage.state.listCurrentOfRooms = async (roomIds, members) => {
      const read = await listCurrentOfRooms(roomIds, members);
      storage.state.listCurrentOfRooms = listCurrentOfRooms;
      await room.state(alice, 'm.room.name', { name: 'tea' });
      return read;
    };
    const ids = new Set([room.roomId]);
    await recent.storage.state.listCurrentOfRooms(ids, 'all');
    const now = sorted(await storage.state.listCurrentOfRooms(ids, 'all'));
    for (let reader = 0; reader < 3; reader += 1) {
      const theirs = await recent.storage.state.listCurrentOfRooms(ids, 'all');
      expect(sorted(theirs)).toEqual(now);
      theirs.get(room.roomId)?.splice(0);
    }
  });

  it('read each event of a busy room once, whoever asks', async () => {
    const { storage, recent, rooms } = await setUp();
    const roomId = rooms[0]?.roomId as RoomId;
    const from = storage.position();
    let read = 0;
    const { listTimeline } = storage.events;
    storage.events.listTimeline = async (...asked) => {
      const events = await listTimeline(...asked);
      read += events.length;
      return events;
    };
    for (let n = 0; n < 20; n += 1) {
      const after = n < 5 ? from : storage.position() - 3;
      await rooms[0]?.send({ sender: alice, type: 'm.room.message', content: { n } });
      for (let reader = 0; reader < 10; reader += 1) {
        await recent.storage.events.listTimeline(roomId, after, storage.position(), 100);
      }
    }
    expect(read).toBe(20);
  });
});

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RoomId, UserId } from '../../../../src/matrix/ids.ts';
import type { Storage } from '../../../../src/storage/contract/storage.ts';
import { openSqliteStorage } from '../../../../src/storage/sqlite/open.ts';
import { ManualClock } from '../../../support/manual-clock.ts';
import { RoomBuilder } from '../../../support/room-builder.ts';

/** A clock by which every step takes more than a turn. */
class SlowClock extends ManualClock {
  #passedMs = 0;
  override monotonic(): number {
    this.#passedMs += 20;
    return this.#passedMs;
  }
}

const members = 2_100;
const creator = '@creator:a.test';

let storage: Storage;
let room: RoomBuilder;
let before: number;

beforeEach(async () => {
  storage = await openSqliteStorage({ file: ':memory:', clock: new SlowClock() });
  room = await RoomBuilder.create(storage, creator, { roomId: '!large:a.test' });
  before = storage.position();
  const userIds = Array.from({ length: members }, (_, n) => `@user${String(n).padStart(4, '0')}:a.test`);
  await room.joinMany(userIds);
});
afterEach(() => storage.stop());

/** How often others got their turn while it ran. */
async function turnsDuring<T>(run: () => Promise<T>): Promise<{ result: T; turns: number }> {
  let turns = 0;
  let over = false;
  const look = (): void => {
    if (over) return;
    turns += 1;
    setImmediate(look);
  };
  setImmediate(look);
  const result = await run();
  over = true;
  return { result, turns };
}

describe('a long list', () => {
  const roomId = '!large:a.test' as RoomId;
  const lists: { name: string; length: number; read: () => Promise<unknown[]> }[] = [
    { name: 'the state of a room', length: members + 2, read: () => storage.state.listCurrent(roomId) },
    {
      name: 'the state of rooms',
      length: members + 2,
      read: async () => (await storage.state.listCurrentOfRooms(new Set([roomId]), 'all')).get(roomId) ?? [],
    },
    { name: 'the members of a room', length: members + 1, read: () => storage.rooms.listMembers(roomId, ['join']) },
    {
      name: 'what changed in a room',
      length: members,
      read: async () => [
        ...((await storage.state.listCurrentChanges(new Set([roomId]), before, storage.position())).get(roomId) ?? []),
      ],
    },
  ];

  it.each(lists)('is read a piece at a time, and others have their turns between: $name', async ({ read, length }) => {
    const { result, turns } = await turnsDuring(read);
    expect(result).toHaveLength(length);
    expect(turns).toBeGreaterThanOrEqual(2);
  });

  it('keeps its order over the pieces', async () => {
    const state = await storage.state.listCurrent(roomId, 'm.room.member');
    expect(state.map(({ stateKey }) => stateKey)).toEqual(state.map(({ stateKey }) => stateKey).sort());
    const joined = await storage.rooms.listMembers(roomId, ['join']);
    expect(joined.slice(1).map(({ userId }) => userId)).toEqual(
      joined
        .slice(1)
        .map(({ userId }) => userId)
        .sort(),
    );
  });

  it('is the state of one moment, whatever changes while it is read', async () => {
    const reading = storage.state.listCurrent(roomId);
    // Begun; the first step found out which events belong to it.
    await new Promise((resolve) => setImmediate(resolve));
    await room.leave('@user2050:a.test');
    const late = (await reading).find(({ stateKey }) => stateKey === '@user2050:a.test');
    expect(late?.clientText).toContain('"join"');
  });

  it('leaves out who went while the members were read', async () => {
    const reading = storage.rooms.listMembers(roomId, ['join']);
    await new Promise((resolve) => setImmediate(resolve));
    await room.leave('@user2050:a.test');
    const userIds = (await reading).map(({ userId }) => userId);
    expect(userIds).not.toContain('@user2050:a.test' as UserId);
    expect(userIds).toHaveLength(members);
  });

  it('tells of each key what held last, also where it changed on both sides of a page', async () => {
    await room.leave('@user0001:a.test');
    const changes = await storage.state.listCurrentChanges(new Set([roomId]), before, storage.position());
    const left = [...(changes.get(roomId) ?? [])].find(([key]) => key.includes('@user0001:'));
    expect(left?.[1]).toBe(
      await storage.state
        .findCurrent(roomId, 'm.room.member', '@user0001:a.test')
        .then((found) => found?.event.eventId),
    );
  });

  it('of ends of many rooms has what one room by itself has', async () => {
    const others = await Promise.all(
      Array.from({ length: 60 }, async (_, n) => {
        const other = await RoomBuilder.create(storage, creator, { roomId: `!room${n}:a.test` });
        await other.sayMany(
          creator,
          Array.from({ length: 20 }, (_, k) => `message ${n} ${k}`),
        );
        return other.roomId;
      }),
    );
    const end = { depth: Number.MAX_SAFE_INTEGER, position: Number.MAX_SAFE_INTEGER };
    const asked = others.map((other) => ({ roomId: other, before: end, upTo: storage.position() }));
    const { result, turns } = await turnsDuring(() => storage.events.listEndings(asked, 20));
    const singly = await Promise.all(asked.map((one) => storage.events.listEndings([one], 20)));
    expect(result).toEqual(singly.flat());
    expect(turns).toBeGreaterThanOrEqual(2);
  });
});

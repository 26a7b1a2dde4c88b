import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RoomId, UserId } from '../../src/matrix/ids.ts';
import { type StateKey, stateKeyOf } from '../../src/matrix/pdu.ts';
import type { SnapshotId } from '../../src/storage/contract/state.ts';
import type { Storage } from '../../src/storage/contract/storage.ts';
import {
  alice,
  bob,
  carol,
  commit,
  eventRow,
  memberRow,
  type OpenStorage,
  room,
  server,
  stateMap,
  user,
} from './make.ts';

const [first, second, third, unknown] = [room('one'), room('two'), room('three'), room('unknown')];
const all = new Set<RoomId>([first, second, third, unknown]);

/** Rooms of different sizes: members, state, events in and out of order, receipts, a gap. */
async function fill(storage: Storage): Promise<SnapshotId[]> {
  const snapshots: SnapshotId[] = [];
  for (const [index, roomId] of [first, second].entries()) {
    const name = (text: string) => `${roomId}-${text}`;
    await commit(storage, [{ kind: 'room', roomId, version: '11' }]);
    for (const [step, member] of [alice, bob, carol].slice(0, 3 - index).entries()) {
      const snapshotId = storage.newSnapshotId();
      const set = stateMap({ [`m.room.member ${member}`]: name(`member${step}`), 'm.room.name': name(`name${step}`) });
      await commit(storage, [
        { kind: 'snapshot', snapshotId, roomId, parent: snapshots.at(-1) ?? null, set, removed: [] },
        eventRow(name(`member${step}`), { roomId, type: 'm.room.member', stateKey: member, depth: step + 1 }),
        eventRow(name(`name${step}`), { roomId, type: 'm.room.name', stateKey: '', depth: step + 1 }),
        memberRow(member, step === 2 ? 'invite' : 'join', { roomId }),
        { kind: 'current_state', roomId, snapshotId, set, removed: [] },
      ]);
      snapshots.push(snapshotId);
    }
    const depths = [9, 5, 7, 5, 8, 6].slice(index);
    await commit(
      storage,
      depths.map((depth, step) =>
        eventRow(name(`m${step}`), { roomId, depth, prev: depth === 7 ? [name('missing')] : [name('member0')] }),
      ),
    );
    await commit(storage, [eventRow(name('old'), { roomId, depth: 2, placement: 'historical' })]);
    for (const [step, userId] of [alice, bob].entries()) {
      await commit(storage, [
        {
          kind: 'receipt',
          roomId,
          userId,
          receiptType: 'm.read',
          threadId: null,
          eventId: eventRow(name('m0')).event.eventId,
          ts: step,
        },
      ]);
    }
  }
  await commit(storage, [
    { kind: 'room', roomId: third, version: '11' },
    memberRow(bob, 'leave', { roomId: third }),
    memberRow(alice, 'leave', { roomId: third }),
    memberRow(user('dave'), 'knock', { roomId: third }),
  ]);
  return snapshots;
}

export function describeManyRooms(open: OpenStorage): void {
  describe('a read of many rooms at once', () => {
    let storage: Storage;
    let snapshots: SnapshotId[];
    beforeEach(async () => {
      storage = await open();
      snapshots = await fill(storage);
    });
    afterEach(() => storage.stop());

    /** What the read of each room says, without the rooms of which it says nothing. */
    async function ofEach<T>(read: (roomId: RoomId) => Promise<T | undefined>): Promise<Map<RoomId, T>> {
      const found = new Map<RoomId, T>();
      for (const roomId of all) {
        const one = await read(roomId);
        if (one !== undefined) found.set(roomId, one);
      }
      return found;
    }

    it('gives the timelines of each', async () => {
      const upTo = storage.position();
      for (const limit of [1, 3, 100]) {
        const pages = [second, unknown, first, third, first].map((roomId, index) => ({ roomId, after: index, upTo }));
        const expected = [];
        for (const page of pages) {
          expected.push(await storage.events.listTimeline(page.roomId, page.after, page.upTo, limit));
        }
        expect(await storage.events.listTimelines(pages, limit)).toEqual(expected);
      }
      expect(await storage.events.listTimelines([], 5)).toEqual([]);
    });

    it('gives the ends of the histories of each, by the graph', async () => {
      const end = { depth: 1_000, position: 1_000_000 };
      for (const upTo of [storage.position(), storage.position() - 12]) {
        for (const limit of [1, 4, 100]) {
          const pages = [first, third, second, first].map((roomId, index) => ({
            roomId,
            before: index === 3 ? { depth: 7, position: 0 } : end,
            upTo,
          }));
          const expected = [];
          for (const { roomId, before } of pages) {
            expected.push((await storage.events.listHistory(roomId, { ...before, upTo }, 'backward', limit)).reverse());
          }
          expect(await storage.events.listEndings(pages, limit)).toEqual(expected);
        }
      }
    });

    it('gives the newest place of each, and the highest with a gap below it', async () => {
      const upTo = storage.position();
      const each = new Map([...all].map((roomId, index) => [roomId, upTo - index * 9]));
      expect(await storage.events.listNewestPlaces(each)).toEqual(
        await ofEach((roomId) => storage.events.findNewestPlace(roomId, each.get(roomId) ?? 0)),
      );
      const gaps = await storage.events.listGapPlaces(new Map([...all].map((roomId) => [roomId, upTo])));
      expect([...gaps].map(([roomId, { depth }]) => [roomId, depth])).toEqual([
        [first, 7],
        [second, 7],
      ]);
      const position = gaps.get(first)?.position ?? 0;
      expect((await storage.events.listGapPlaces(new Map([[first, position - 1]]))).size).toBe(0);
    });

    it('gives the memberships of a user, the heroes and the counts of each', async () => {
      const { rooms } = storage;
      for (const userId of [alice, bob, user('nobody')]) {
        expect(await rooms.listMembershipsIn(userId, all)).toEqual(
          await ofEach((roomId) => rooms.findMembership(roomId, userId)),
        );
        for (const limit of [1, 5]) {
          const expected = await ofEach(async (roomId) => {
            const heroes = await rooms.listHeroes(roomId, userId, limit);
            return heroes.length > 0 ? heroes : undefined;
          });
          expect(await rooms.listHeroesOf(all, userId, limit)).toEqual(expected);
        }
      }
      for (const membership of ['join', 'invite', 'leave'] as const) {
        const expected = await ofEach(async (roomId) => (await rooms.countMembers(roomId, membership)) || undefined);
        expect(await rooms.countMembersOf(all, membership)).toEqual(expected);
      }
    });

    it('gives keys of many snapshots, each its own, known before or not', async () => {
      const keys: StateKey[] = [alice, bob, carol].map((userId) => stateKeyOf('m.room.member', userId));
      keys.push(stateKeyOf('m.room.name', ''), stateKeyOf('no', 'such'));
      const wanted = new Map(snapshots.map((snapshotId, index) => [snapshotId, keys.slice(index % 2)]));
      const expected = new Map();
      for (const [snapshotId, asked] of wanted) {
        expected.set(snapshotId, await storage.state.getFromSnapshot(snapshotId, asked));
      }
      expect(await storage.state.getFromSnapshots(wanted)).toEqual(expected);
      await storage.state.getSnapshot(snapshots[1] as SnapshotId);
      expect(await storage.state.getFromSnapshots(wanted)).toEqual(expected);
      expect(await storage.state.getFromSnapshots(new Map())).toEqual(new Map());
    });

    it('gives whole snapshots, as one by one', async () => {
      const [one] = snapshots;
      if (one === undefined) throw new Error('none');
      const expected = new Map();
      const other = await open();
      for (const [index, snapshotId] of (await fill(other)).entries()) {
        expected.set(snapshots[index], await other.state.getSnapshot(snapshotId));
      }
      await storage.state.getSnapshot(one);
      expect(await storage.state.getSnapshots([...snapshots, one])).toEqual(expected);
      expect(await storage.state.getSnapshots(snapshots)).toEqual(expected);
      await other.stop();
    });

    it('tells what ended the last stay of a user in each', async () => {
      const again = storage.rooms.listLastDepartures;
      expect(await again(alice, all)).toEqual(new Map());
      expect(await again(user('nobody'), all)).toEqual(new Map());
      for (const membership of ['leave', 'invite', 'join', 'join', 'ban', 'leave'] as const) {
        await commit(storage, [memberRow(alice, membership, { roomId: first })]);
      }
      await commit(storage, [
        memberRow(alice, 'leave', { roomId: second }),
        memberRow(alice, 'join', { roomId: second }),
      ]);
      const found = await again(alice, all);
      expect([...found.keys()]).toEqual([first]);
      expect(found.get(first)).toMatchObject({ membership: 'ban', userId: alice, roomId: first });
    });

    it('tells when the last user of a server who is out of a room left it', async () => {
      const last = (name: string) => storage.rooms.findLastDeparture(first, server(name));
      expect(await last('here.test')).toBeUndefined();
      await commit(storage, [memberRow(alice, 'join', { roomId: first })]);
      await commit(storage, [memberRow(bob, 'join', { roomId: first })]);
      const { position: alices } = await commit(storage, [memberRow(alice, 'ban', { roomId: first })]);
      await commit(storage, [memberRow(alice, 'leave', { roomId: first })]);
      expect(await last('here.test')).toBe(alices);
      const { position: bobs } = await commit(storage, [memberRow(bob, 'leave', { roomId: first })]);
      expect(await last('here.test')).toBe(bobs);
      await commit(storage, [memberRow(bob, 'join', { roomId: first })]);
      expect(await last('here.test')).toBe(alices);
      expect(await last('there.test')).toBeUndefined();
      expect(await storage.rooms.findLastDeparture(unknown, server('here.test'))).toBeUndefined();
    });

    it('gives the current snapshot and the current state of each, with all members or with some', async () => {
      expect(await storage.state.listCurrentSnapshots(all)).toEqual(
        await ofEach((roomId) => storage.state.findCurrentSnapshot(roomId)),
      );
      const inOrder = (events: readonly { eventId: string }[] = []) => events.map(({ eventId }) => eventId).sort();
      const whole = await storage.state.listCurrentOfRooms(all, 'all');
      expect([...whole.keys()].sort()).toEqual([first, second].sort());
      for (const roomId of all) {
        const expected = await storage.state.listCurrent(roomId);
        expect(inOrder(whole.get(roomId))).toEqual(inOrder(expected));
        const members = new Map<RoomId, UserId[]>([[first, [bob, user('nobody')]]]);
        const some = await storage.state.listCurrentOfRooms(all, members);
        const kept = expected.filter(
          ({ type, stateKey }) =>
            type !== 'm.room.member' || members.get(roomId)?.some((userId) => userId === stateKey),
        );
        expect(inOrder(some.get(roomId))).toEqual(inOrder(kept));
      }
    });

    it('gives the receipts of each', async () => {
      const upTo = storage.position();
      const expected = [];
      for (const roomId of all) expected.push(...(await storage.receipts.listOfRoom(roomId, upTo)));
      expect(await storage.receipts.listOfRooms(all, upTo)).toEqual(expected);
      expect((await storage.receipts.listOfRooms(all, upTo)).length).toBeGreaterThan(3);
    });
  });
}

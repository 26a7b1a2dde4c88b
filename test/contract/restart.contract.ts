import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Storage } from '../../src/storage/contract/storage.ts';
import {
  alice,
  bob,
  carol,
  commit,
  eventId,
  eventRow,
  lobby,
  memberRow,
  positionAt,
  server,
  stateMap,
} from './make.ts';

/** Somewhere that outlives the process. */
export interface Place {
  open(): Promise<Storage>;
  /** The place as it would be found if the process that has it open ended now, without a word. */
  crash(): Promise<Place>;
  remove(): Promise<void>;
}

export function describeRestart(newPlace: () => Promise<Place>): void {
  describe('after a restart', () => {
    let places: Place[];
    let opened: Storage[];
    beforeEach(() => {
      places = [];
      opened = [];
    });
    afterEach(async () => {
      for (const storage of opened) await storage.stop();
      for (const place of places) await place.remove();
    });

    const make = async (): Promise<Place> => {
      const place = await newPlace();
      places.push(place);
      return place;
    };
    const open = async (place: Place): Promise<Storage> => {
      const storage = await place.open();
      opened.push(storage);
      return storage;
    };
    const fill = async (storage: Storage) => {
      const snapshotId = storage.newSnapshotId();
      const set = stateMap({ 'm.room.name ': 'name' });
      return commit(storage, [
        { kind: 'room', roomId: lobby, version: '11' },
        { kind: 'snapshot', snapshotId, roomId: lobby, parent: null, set, removed: [] },
        eventRow('name', { type: 'm.room.name', stateKey: '' }),
        eventRow('old', { placement: 'historical' }),
        { kind: 'current_state', roomId: lobby, snapshotId, set, removed: [] },
        memberRow(alice, 'join'),
        { kind: 'narrowing', destination: server('there.test'), subject: alice, lastActiveAtMs: 1 },
        { kind: 'outgoing_pdu', eventId: eventId('name'), roomId: lobby, destinations: [server('there.test')] },
      ]);
    };
    const check = async (storage: Storage) => {
      expect(await storage.rooms.find(lobby)).toEqual({ roomId: lobby, version: '11' });
      expect(await storage.state.findCurrent(lobby, 'm.room.name', '')).toMatchObject({ event: { eventId: '$name' } });
      const snapshotId = await storage.state.findCurrentSnapshot(lobby);
      expect(snapshotId && (await storage.state.getSnapshot(snapshotId))).toEqual(stateMap({ 'm.room.name ': 'name' }));
      expect(await storage.rooms.listJoined(null, 10)).toEqual([{ roomId: lobby, userIds: [alice] }]);
      expect(await storage.presence.listNarrowings()).toHaveLength(1);
      expect(await storage.outgoing.listPendingDestinations()).toEqual(['there.test']);
      expect((await storage.changes.list(0, 10)).map(({ kind }) => kind)).toEqual(['event', 'membership']);
    };

    it('everything is found again', async () => {
      const place = await make();
      const first = await open(place);
      await fill(first);
      await first.stop();
      await check(await open(place));
    });

    it('what was acknowledged before a crash is found again', async () => {
      const place = await make();
      await fill(await open(place));
      const found = await place.crash();
      places.push(found);
      await check(await open(found));
    });

    it('positions go on a million later, history goes on below, snapshots get new numbers', async () => {
      const place = await make();
      const first = await open(place);
      const filled = await fill(first);
      const lowest = positionAt(filled, 3);
      const snapshotId = await first.state.findCurrentSnapshot(lobby);
      await first.stop();

      const second = await open(place);
      expect(second.position()).toBe(filled.position + 1_000_000);
      const result = await commit(second, [memberRow(bob, 'join'), eventRow('older', { placement: 'historical' })]);
      expect(result.positions).toEqual([filled.position + 1_000_001, lowest - 1]);
      expect(second.newSnapshotId()).toBeGreaterThan(snapshotId ?? 0);
    });

    it('a start that wrote nothing gives no position away', async () => {
      const place = await make();
      const first = await open(place);
      const { position } = await commit(first, [memberRow(carol, 'join')]);
      await first.stop();
      const second = await open(place);
      const before = second.position();
      await second.stop();
      expect((await open(place)).position()).toBe(before);
      expect(before).toBe(position + 1_000_000);
    });
  });
}

import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { StateKey } from '../../src/matrix/pdu.ts';
import type { Change } from '../../src/storage/contract/changes.ts';
import type { Row } from '../../src/storage/contract/commit.ts';
import type { SnapshotId } from '../../src/storage/contract/numbers.ts';
import type { Storage } from '../../src/storage/contract/storage.ts';
import { propertyRuns } from '../support/property-runs.ts';
import {
  attic,
  commit,
  eventId,
  eventRow,
  lobby,
  type OpenStorage,
  positionAt,
  room,
  snapshot,
  stateKeys,
  stateMap,
} from './make.ts';

export function describeState(open: OpenStorage): void {
  describe('state', () => {
    let storage: Storage;
    let told: Change[];
    beforeEach(async () => {
      storage = await open();
      told = [];
      storage.onCommit((changes) => told.push(...changes));
    });
    afterEach(() => storage.stop());

    const snapshotRow = (parent: SnapshotId | null, set: Record<string, string>, removed: readonly string[] = []) => ({
      kind: 'snapshot' as const,
      snapshotId: storage.newSnapshotId(),
      roomId: lobby,
      parent,
      set: stateMap(set),
      removed: stateKeys(...removed),
    });
    const currentRow = (set: Record<string, string>, removed: readonly string[] = [], roomId = lobby): Row => ({
      kind: 'current_state',
      roomId,
      snapshotId: snapshot(1),
      set: stateMap(set),
      removed: stateKeys(...removed),
    });

    it('never gives a number twice', () => {
      const numbers = Array.from({ length: 100 }, () => storage.newSnapshotId());
      expect(new Set(numbers).size).toBe(100);
    });

    it('differs from another in what was changed since they parted, and says what it has there', async () => {
      const first = snapshotRow(null, { 'm.room.create ': 'c', 'm.room.name ': 'n1', 'm.room.member @a:b': 'm' });
      const one = snapshotRow(first.snapshotId, { 'm.room.name ': 'n2', 'm.room.topic ': 't' });
      const other = snapshotRow(first.snapshotId, { 'm.room.topic ': 't' }, ['m.room.member @a:b']);
      const apart = snapshotRow(null, { 'm.room.create ': 'c', 'm.room.name ': 'n2' });
      await commit(storage, [first, one, other, apart]);
      const deviation = async (to: { snapshotId: SnapshotId }, from: { snapshotId: SnapshotId }) =>
        Object.fromEntries(await storage.state.getDeviation(to.snapshotId, from.snapshotId));
      const [name, topic, member] = stateKeys('m.room.name ', 'm.room.topic ', 'm.room.member @a:b').map(String);
      expect(await deviation(one, one)).toEqual({});
      expect(await deviation(one, first)).toEqual({ [name ?? '']: '$n2', [topic ?? '']: '$t' });
      expect(await deviation(first, one)).toEqual({ [name ?? '']: '$n1', [topic ?? '']: undefined });
      expect(await deviation(other, one)).toEqual({ [name ?? '']: '$n1', [member ?? '']: undefined });
      expect(await deviation(apart, one)).toEqual({ [topic ?? '']: undefined, [member ?? '']: undefined });
      await expect(storage.state.getDeviation(snapshot(9_999), one.snapshotId)).rejects.toThrow();
    });

    it('is what was set, with what the parent says and nothing that was removed', async () => {
      const first = snapshotRow(null, { 'm.room.create ': 'c', 'm.room.name ': 'n1', 'm.room.member @a:b': 'm' });
      const second = snapshotRow(first.snapshotId, { 'm.room.name ': 'n2' });
      const third = snapshotRow(second.snapshotId, { 'm.room.topic ': 't' }, ['m.room.member @a:b']);
      await commit(storage, [first, second, third]);
      expect(await storage.state.getSnapshot(first.snapshotId)).toEqual(first.set);
      expect(await storage.state.getSnapshot(third.snapshotId)).toEqual(
        stateMap({ 'm.room.create ': 'c', 'm.room.name ': 'n2', 'm.room.topic ': 't' }),
      );
      expect(await storage.state.getSnapshot(second.snapshotId)).toEqual(
        stateMap({ 'm.room.create ': 'c', 'm.room.name ': 'n2', 'm.room.member @a:b': 'm' }),
      );
    });

    it('gives single keys, without those that are absent or removed', async () => {
      const first = snapshotRow(null, { 'm.room.create ': 'c', 'm.room.name ': 'n' });
      const second = snapshotRow(first.snapshotId, { 'm.room.topic ': 't' }, ['m.room.name ']);
      await commit(storage, [first, second]);
      const keys = stateKeys('m.room.create ', 'm.room.name ', 'm.room.topic ', 'never.seen ');
      const expected = stateMap({ 'm.room.create ': 'c', 'm.room.topic ': 't' });
      expect(await storage.state.getFromSnapshot(second.snapshotId, keys)).toEqual(expected);
      await storage.state.getSnapshot(second.snapshotId);
      expect(await storage.state.getFromSnapshot(second.snapshotId, keys)).toEqual(expected);
    });

    it('is the same map for all who ask at once', async () => {
      const row = snapshotRow(null, { 'm.room.create ': 'c' });
      await commit(storage, [row]);
      const [first, second] = await Promise.all([
        storage.state.getSnapshot(row.snapshotId),
        storage.state.getSnapshot(row.snapshotId),
      ]);
      expect(first).toBe(second);
      expect(await storage.state.getSnapshot(row.snapshotId)).toBe(first);
    });

    it('throws for a snapshot that was never written', async () => {
      await expect(storage.state.getSnapshot(snapshot(99))).rejects.toThrow();
      await expect(storage.state.getFromSnapshot(snapshot(99), stateKeys('a '))).rejects.toThrow();
      await expect(storage.state.getFromSnapshot(snapshot(0), stateKeys('a '))).rejects.toThrow();
    });

    it('is right in every snapshot of any tree of differences', async () => {
      const step = fc.record({
        parent: fc.nat(30),
        set: fc.dictionary(fc.constantFrom(...'abcdefgh'), fc.nat(1_000), { maxKeys: 6 }),
        removed: fc.uniqueArray(fc.constantFrom(...'abcdefgh'), { maxLength: 4 }),
      });
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 30 }), async (steps) => {
          const expected: { id: SnapshotId; map: Map<StateKey, string> }[] = [];
          const rows = steps.map(({ parent, set, removed }) => {
            const base = expected.length === 0 ? undefined : expected[parent % expected.length];
            const setMap = stateMap(
              Object.fromEntries(Object.entries(set).map(([key, event]) => [`${key} `, `e${event}`])),
            );
            const removedKeys = stateKeys(...removed.map((key) => `${key} `)).filter((key) => !setMap.has(key));
            const map = new Map<StateKey, string>([...(base?.map ?? []), ...setMap]);
            for (const key of removedKeys) map.delete(key);
            const id = storage.newSnapshotId();
            expected.push({ id, map });
            return {
              kind: 'snapshot' as const,
              snapshotId: id,
              roomId: lobby,
              parent: base?.id ?? null,
              set: setMap,
              removed: removedKeys,
            };
          });
          await commit(storage, rows);
          const keys = stateKeys(...[...'abcdefgh'].map((key) => `${key} `));
          for (const { id, map } of expected) {
            expect(await storage.state.getFromSnapshot(id, keys)).toEqual(map);
            expect(await storage.state.getSnapshot(id)).toEqual(map);
            const other = expected[Number(id) % expected.length];
            if (!other) continue;
            const differing = [...new Set([...map.keys(), ...other.map.keys()])].filter(
              (key) => map.get(key) !== other.map.get(key),
            );
            expect(await storage.state.getDeviation(id, other.id)).toEqual(
              new Map(differing.map((key) => [key, map.get(key)])),
            );
          }
        }),
        { numRuns: propertyRuns(40) },
      );
    });

    it('holds for a long chain of single changes on a large state', async () => {
      const large = Object.fromEntries(
        Array.from({ length: 3_000 }, (_, index) => [`m.room.member @u${index}:b`, `m${index}`]),
      );
      const first = snapshotRow(null, large);
      await commit(storage, [first]);
      let parent = first.snapshotId;
      for (let index = 0; index < 300; index += 1) {
        const row = snapshotRow(parent, { [`m.room.member @u${index}:b`]: `changed${index}` });
        await commit(storage, [row]);
        parent = row.snapshotId;
      }
      const map = await storage.state.getSnapshot(parent);
      expect(map.size).toBe(3_000);
      const [changed, kept] = stateKeys('m.room.member @u299:b', 'm.room.member @u300:b');
      expect(map.get(changed as StateKey)).toBe('$changed299');
      expect(map.get(kept as StateKey)).toBe('$m300');
    });

    it('is current where a room says so', async () => {
      expect(await storage.state.findCurrentSnapshot(lobby)).toBeUndefined();
      await commit(storage, [
        snapshotRow(null, {}),
        eventRow('n', { type: 'm.room.name', stateKey: '' }),
        eventRow('alice', { type: 'm.room.member', stateKey: '@a:b', placement: 'outlier' }),
        eventRow('bob', { type: 'm.room.member', stateKey: '@b:b' }),
        currentRow({ 'm.room.name ': 'n', 'm.room.member @a:b': 'alice', 'm.room.member @b:b': 'bob' }),
      ]);
      expect(await storage.state.findCurrentSnapshot(lobby)).toBe(1);
      expect(await storage.state.findCurrentSnapshot(attic)).toBeUndefined();
      expect(await storage.state.findCurrent(lobby, 'm.room.name', '')).toMatchObject({ event: { eventId: '$n' } });
      expect(await storage.state.findCurrent(lobby, 'm.room.name', 'other')).toBeUndefined();
      expect(await storage.state.findCurrent(attic, 'm.room.name', '')).toBeUndefined();
      expect((await storage.state.listCurrent(lobby)).map((event) => event.eventId)).toEqual(['$alice', '$bob', '$n']);
      expect((await storage.state.listCurrent(lobby, 'm.room.member')).map((event) => event.eventId)).toEqual([
        '$alice',
        '$bob',
      ]);
      expect(await storage.state.listCurrent(lobby, 'm.room.topic')).toEqual([]);
      expect((await storage.state.listCurrentIds(lobby)).sort()).toEqual(['$alice', '$bob', '$n']);
    });

    it('tells which types changed, and nothing when none did', async () => {
      await commit(storage, [snapshotRow(null, {}), currentRow({ 'm.room.name ': 'n', 'm.room.topic ': 't' })]);
      await commit(storage, [currentRow({}, ['m.room.topic '])]);
      const unchanged = await commit(storage, [currentRow({})]);
      expect(unchanged.positions).toEqual([null]);
      expect(told).toEqual([
        { kind: 'current_state', roomId: lobby, types: ['m.room.name', 'm.room.topic'] },
        { kind: 'current_state', roomId: lobby, types: ['m.room.topic'] },
      ]);
      expect(await storage.state.listCurrentIds(lobby)).toEqual([eventId('n')]);
    });

    it('tells what changed between two positions: for each key how it ended', async () => {
      const first = positionAt(await commit(storage, [currentRow({ 'm.room.name ': 'n1', 'm.room.topic ': 't1' })]));
      await commit(storage, [currentRow({ 'm.room.name ': 'n2' })]);
      await commit(storage, [
        currentRow({ 'm.room.name ': 'a' }, [], attic),
        currentRow({ 'm.room.name ': 'c' }, [], room('cellar')),
      ]);
      const last = positionAt(await commit(storage, [currentRow({ 'm.room.name ': 'n3' }, ['m.room.topic '])]));
      await commit(storage, [currentRow({ 'm.room.name ': 'n4' })]);
      const [name, topic] = stateKeys('m.room.name ', 'm.room.topic ');
      expect(await storage.state.listCurrentChanges(new Set([lobby, attic]), first, last)).toEqual(
        new Map([
          [
            lobby,
            new Map([
              [name, '$n3'],
              [topic, null],
            ]),
          ],
          [attic, new Map([[name, '$a']])],
        ]),
      );
      expect(await storage.state.listCurrentChanges(new Set([lobby]), first, first)).toEqual(new Map());
    });
  });
}

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { stateKeyOf } from '../../src/matrix/pdu.ts';
import type { Change } from '../../src/storage/contract/changes.ts';
import type { Row } from '../../src/storage/contract/commit.ts';
import type { SnapshotId } from '../../src/storage/contract/numbers.ts';
import type { Storage } from '../../src/storage/contract/storage.ts';
import { commit, eventId, eventRow, lobby, type OpenStorage, stateMap } from './make.ts';

export function describeImports(open: OpenStorage): void {
  describe('an import', () => {
    let storage: Storage;
    let told: Change[];
    let importId: SnapshotId;
    beforeEach(async () => {
      storage = await open();
      told = [];
      storage.onCommit((changes) => void told.push(...changes));
      importId = storage.newSnapshotId();
      await commit(storage, [{ kind: 'import_started', importId }]);
    });
    afterEach(() => storage.stop());

    const state = (set: Record<string, string>): Row => ({ kind: 'import_state', importId, set: stateMap(set) });
    const adopt = (set: Record<string, string>, id = importId): Row => ({
      kind: 'import_state_adopted',
      importId: id,
      roomId: lobby,
      snapshotId: id,
      set: stateMap(set),
    });
    const currentIds = async () => (await storage.state.listCurrentIds(lobby)).sort();
    const prune = async (id = importId) => {
      for (let rounds = 0; (await storage.imports.list()).includes(id); rounds++) {
        expect(rounds).toBeLessThan(50);
        await commit(storage, [{ kind: 'import_pruned', importId: id }]);
      }
    };

    it('keeps texts under their numbers until they are removed', async () => {
      await commit(storage, [
        { kind: 'import_texts', importId, first: 0, texts: ['a', 'b'] },
        { kind: 'import_texts', importId, first: 2, texts: ['c'] },
      ]);
      const texts = async (...numbers: number[]) =>
        (await storage.imports.listTexts(importId, numbers)).sort((x, y) => x.number - y.number);
      expect(await texts(2, 0, 7)).toEqual([
        { number: 0, text: 'a' },
        { number: 2, text: 'c' },
      ]);
      await commit(storage, [{ kind: 'import_texts_removed', importId, numbers: [0, 1] }]);
      expect(await texts(0, 1, 2)).toEqual([{ number: 2, text: 'c' }]);
      expect(await storage.imports.listTexts(storage.newSnapshotId(), [2])).toEqual([]);
    });

    it('counts for nobody until the room adopts it', async () => {
      await commit(storage, [
        { kind: 'room', roomId: lobby, version: '11' },
        eventRow('n', { type: 'm.room.name', stateKey: '' }),
        state({ 'm.room.name ': 'n' }),
      ]);
      expect(await currentIds()).toEqual([]);
      expect(await storage.state.findCurrentSnapshot(lobby)).toBeUndefined();
      expect(await storage.state.findCurrent(lobby, 'm.room.name', '')).toBeUndefined();
      expect(told.filter(({ kind }) => kind === 'current_state')).toEqual([]);
    });

    it('is the state of the room at once when it is adopted, with what comes last over it', async () => {
      const names = Array.from({ length: 40 }, (_, index) => `m${index}`);
      await commit(
        storage,
        [...names, 'name', 'late'].map((name) => eventRow(name, { type: 'm.room.member', stateKey: name })),
      );
      for (let start = 0; start < names.length; start += 10) {
        const part = names.slice(start, start + 10).map((name) => [`m.room.member @${name}:x`, name]);
        await commit(storage, [state(Object.fromEntries(part))]);
      }
      await commit(storage, [state({ 'm.room.name ': 'name' })]);
      told.length = 0;
      await commit(storage, [adopt({ 'm.room.member @m3:x': 'late' })]);
      expect(await currentIds()).toEqual(
        [...names.filter((name) => name !== 'm3'), 'name', 'late'].map(eventId).sort(),
      );
      expect(await storage.state.findCurrentSnapshot(lobby)).toBe(importId);
      const [change] = told.filter(({ kind }) => kind === 'current_state');
      expect(change).toMatchObject({ roomId: lobby });
      expect(change?.kind === 'current_state' && [...change.types].sort()).toEqual(['m.room.member', 'm.room.name']);
      await prune();
      expect(await currentIds()).toHaveLength(41);
      expect(await storage.imports.list()).toEqual([]);
    });

    it('makes a snapshot of the state that it put together, also after something else was undone', async () => {
      await commit(storage, [state({ 'm.room.name ': 'a', 'm.room.topic ': 'b' })]);
      const [first, second] = [storage.newSnapshotId(), storage.newSnapshotId()];
      const snapshot = (snapshotId: SnapshotId): Row => ({
        kind: 'import_snapshot',
        importId,
        roomId: lobby,
        snapshotId,
      });
      await commit(storage, [state({ 'm.room.topic ': 'c' }), snapshot(first)]);
      const expected = stateMap({ 'm.room.name ': 'a', 'm.room.topic ': 'c' });
      expect(await storage.state.getSnapshot(first)).toEqual(expected);
      await commit(storage, [eventRow('x')]);
      await expect(storage.commit({ rows: [eventRow('x')] })).rejects.toThrow();
      await commit(storage, [snapshot(second)]);
      expect(await storage.state.getSnapshot(second)).toEqual(expected);
    });

    it('takes the place of what the state was before, which is cleared up behind it', async () => {
      const before: Row = {
        kind: 'current_state',
        roomId: lobby,
        snapshotId: storage.newSnapshotId(),
        set: stateMap({ 'm.room.topic ': 'old', 'm.room.name ': 'old' }),
        removed: [],
      };
      await commit(storage, [eventRow('old'), eventRow('new'), before]);
      await commit(storage, [state({ 'm.room.name ': 'new' }), adopt({})]);
      expect(await currentIds()).toEqual(['$new']);
      const again = storage.newSnapshotId();
      await commit(storage, [{ kind: 'import_started', importId: again }]);
      await commit(storage, [{ kind: 'import_state', importId: again, set: stateMap({ 'm.room.topic ': 'old' }) }]);
      await commit(storage, [adopt({}, again)]);
      expect(await currentIds()).toEqual(['$old']);
      for (const id of await storage.imports.list()) await prune(id);
      expect(await currentIds()).toEqual(['$old']);
    });

    it('goes on from there like any state', async () => {
      await commit(storage, [eventRow('a'), eventRow('b'), state({ 'm.room.name ': 'a' }), adopt({})]);
      const after = storage.position();
      const next: Row = {
        kind: 'current_state',
        roomId: lobby,
        snapshotId: storage.newSnapshotId(),
        set: stateMap({ 'm.room.topic ': 'b' }),
        removed: [stateKeyOf('m.room.name', '')],
      };
      await commit(storage, [next]);
      expect(await currentIds()).toEqual(['$b']);
      const changes = await storage.state.listCurrentChanges(new Set([lobby]), after, storage.position());
      expect(changes.get(lobby)).toEqual(
        new Map([...stateMap({ 'm.room.topic ': 'b' }), [stateKeyOf('m.room.name', ''), null]]),
      );
    });

    it('that came to nothing is cleared up in steps', async () => {
      const texts = Array.from({ length: 1_200 }, (_, index) => `text ${index}`);
      await commit(storage, [{ kind: 'import_texts', importId, first: 0, texts }, eventRow('x')]);
      const set = Object.fromEntries(texts.map((text) => [`type ${text}`, 'x']));
      await commit(storage, [state(set)]);
      await commit(storage, [{ kind: 'import_pruned', importId }]);
      expect(await storage.imports.list()).toEqual([importId]);
      expect(await storage.imports.listTexts(importId, [...texts.keys()])).not.toHaveLength(0);
      await prune();
      expect(await storage.imports.listTexts(importId, [...texts.keys()])).toEqual([]);
      await commit(storage, [{ kind: 'import_pruned', importId }]);
      expect(await storage.imports.list()).toEqual([]);
    });
  });
}

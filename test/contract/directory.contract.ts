import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Storage } from '../../src/storage/contract/storage.ts';
import { alias, alice, attic, commit, lobby, type OpenStorage } from './make.ts';

export function describeDirectory(open: OpenStorage): void {
  describe('the directory', () => {
    let storage: Storage;
    beforeEach(async () => {
      storage = await open();
    });
    afterEach(() => storage.stop());

    it('finds and lists aliases until they are removed', async () => {
      const [a, b] = [alias('a'), alias('b')];
      await commit(storage, [
        { kind: 'alias', alias: b, roomId: lobby, creator: alice },
        { kind: 'alias', alias: a, roomId: lobby, creator: alice },
        { kind: 'alias', alias: alias('c'), roomId: attic, creator: alice },
      ]);
      expect(await storage.directory.findAlias(a)).toEqual({ alias: a, roomId: lobby, creator: alice });
      expect((await storage.directory.listAliases(lobby)).map((row) => row.alias)).toEqual([a, b]);
      await commit(storage, [{ kind: 'alias_removed', alias: a }]);
      expect(await storage.directory.findAlias(a)).toBeUndefined();
      expect((await storage.directory.listAliases(lobby)).map((row) => row.alias)).toEqual([b]);
    });

    it('holds rooms private until they are published', async () => {
      expect(await storage.directory.getVisibility(lobby)).toBe('private');
      await commit(storage, [{ kind: 'room_visibility', roomId: lobby, visibility: 'public' }]);
      expect(await storage.directory.getVisibility(lobby)).toBe('public');
      expect(await storage.directory.getVisibility(attic)).toBe('private');
      await commit(storage, [{ kind: 'room_visibility', roomId: lobby, visibility: 'private' }]);
      expect(await storage.directory.getVisibility(lobby)).toBe('private');
    });
  });
}

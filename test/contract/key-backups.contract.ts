import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Row } from '../../src/storage/contract/commit.ts';
import type { RoomKey } from '../../src/storage/contract/key-backups.ts';
import type { Storage } from '../../src/storage/contract/storage.ts';
import { alice, attic, bob, commit, lobby, type OpenStorage } from './make.ts';

export function describeKeyBackups(open: OpenStorage): void {
  describe('key backups', () => {
    let storage: Storage;
    beforeEach(async () => {
      storage = await open();
    });
    afterEach(() => storage.stop());

    const backup = (version: number, userId = alice, more = {}) => ({
      userId,
      version,
      algorithm: 'm.algorithm',
      authData: { public_key: 'é', signatures: { a: { b: 'c' } } },
      ...more,
    });
    const put = (...versions: number[]) =>
      commit(
        storage,
        versions.map((version): Row => ({ kind: 'key_backup', ...backup(version) })),
      );
    const key = (roomId: typeof lobby, sessionId: string, more: Partial<RoomKey> = {}): RoomKey => ({
      roomId,
      sessionId,
      firstMessageIndex: 0,
      forwardedCount: 0,
      isVerified: false,
      sessionData: `{"s":"${sessionId}"}`,
      ...more,
    });
    const putKeys = (version: number, ...keys: RoomKey[]) =>
      commit(storage, [{ kind: 'room_keys', userId: alice, version, keys }]);
    const all = { roomId: null, after: null, limit: 100 };
    const namesOf = (keys: readonly RoomKey[]) => keys.map(({ roomId, sessionId }) => [roomId, sessionId]);

    it('have versions, of which the newest counts', async () => {
      expect(await storage.keyBackups.findNewest(alice)).toBeUndefined();
      expect(await storage.keyBackups.getLastVersion(alice)).toBe(0);
      await put(1, 2);
      expect(await storage.keyBackups.findNewest(alice)).toEqual({ ...backup(2), etag: 0, count: 0 });
      expect(await storage.keyBackups.find(alice, 1)).toEqual({ ...backup(1), etag: 0, count: 0 });
      expect(await storage.keyBackups.find(bob, 1)).toBeUndefined();
      expect(await storage.keyBackups.find(alice, 3)).toBeUndefined();
    });

    it('get other data for their algorithm, and keep their keys', async () => {
      await put(1);
      await putKeys(1, key(lobby, 'a'));
      await commit(storage, [{ kind: 'key_backup', ...backup(1, alice, { authData: { new: 1 } }) }]);
      expect(await storage.keyBackups.find(alice, 1)).toEqual({
        ...backup(1, alice, { authData: { new: 1 } }),
        etag: 1,
        count: 1,
      });
    });

    it('that are removed take their keys along, and their number is not free again', async () => {
      await put(1, 2);
      await putKeys(2, key(lobby, 'a'));
      await commit(storage, [{ kind: 'key_backup_removed', userId: alice, version: 2 }]);
      expect(await storage.keyBackups.find(alice, 2)).toBeUndefined();
      expect((await storage.keyBackups.findNewest(alice))?.version).toBe(1);
      expect(await storage.keyBackups.getLastVersion(alice)).toBe(2);
      expect(await storage.keyBackups.listKeys(alice, 2, all)).toEqual([]);
    });

    it('hold keys by room and session, replace those of the same name, and count them', async () => {
      await put(1);
      const a = key(lobby, 'a', {
        firstMessageIndex: 7,
        forwardedCount: 3,
        isVerified: true,
        sessionData: '{"é":[1]}',
      });
      await putKeys(1, key(lobby, 'a'), key(lobby, 'b'));
      await putKeys(1, a, key(attic, 'a'));
      expect(await storage.keyBackups.listKeys(alice, 1, all)).toEqual([key(attic, 'a'), a, key(lobby, 'b')]);
      expect(await storage.keyBackups.find(alice, 1)).toMatchObject({ count: 3, etag: 2 });
      expect(await storage.keyBackups.listKeys(bob, 1, all)).toEqual([]);
    });

    it('give keys by name, by page, and of one room', async () => {
      await put(1);
      await putKeys(1, key(attic, 'a'), key(attic, 'b'), key(lobby, 'a'), key(lobby, 'b'));
      const names = [key(lobby, 'b'), key(attic, 'none'), key(attic, 'a')];
      const named = await storage.keyBackups.listNamedKeys(alice, 1, names);
      expect(namesOf(named)).toEqual([
        [lobby, 'b'],
        [attic, 'a'],
      ]);
      expect(await storage.keyBackups.listNamedKeys(alice, 2, names)).toEqual([]);
      const first = await storage.keyBackups.listKeys(alice, 1, { ...all, limit: 3 });
      const rest = await storage.keyBackups.listKeys(alice, 1, { ...all, after: first.at(-1) ?? null });
      expect([namesOf(first).at(-1), namesOf(rest)]).toEqual([[lobby, 'a'], [[lobby, 'b']]]);
      const ofRoom = await storage.keyBackups.listKeys(alice, 1, { roomId: attic, after: key(attic, 'a'), limit: 9 });
      expect(namesOf(ofRoom)).toEqual([[attic, 'b']]);
    });

    it('lose those of their keys that are named', async () => {
      await put(1, 2);
      await putKeys(1, key(attic, 'a'), key(lobby, 'a'), key(lobby, 'b'));
      await putKeys(2, key(lobby, 'a'));
      const keys = [
        { roomId: lobby, sessionId: 'a' },
        { roomId: attic, sessionId: 'a' },
        { roomId: attic, sessionId: 'b' },
      ];
      await commit(storage, [{ kind: 'room_keys_removed', userId: alice, version: 1, keys }]);
      expect(namesOf(await storage.keyBackups.listKeys(alice, 1, all))).toEqual([[lobby, 'b']]);
      expect(await storage.keyBackups.find(alice, 1)).toMatchObject({ count: 1, etag: 2 });
      expect(await storage.keyBackups.find(alice, 2)).toMatchObject({ count: 1, etag: 1 });
    });

    it('list the names of their keys as they list the keys', async () => {
      await put(1);
      await putKeys(1, key(lobby, 'b'), key(attic, 'a'), key(lobby, 'a'), key(attic, 'b'));
      for (const roomId of [null, lobby, attic]) {
        for (const after of [null, { roomId: attic, sessionId: 'a' }]) {
          const page = { roomId, after, limit: 2 };
          const keys = await storage.keyBackups.listKeys(alice, 1, page);
          expect(namesOf(keys)).not.toEqual([]);
          expect(await storage.keyBackups.listKeyNames(alice, 1, page)).toEqual(
            keys.map(({ roomId: room, sessionId }) => ({ roomId: room, sessionId })),
          );
        }
      }
    });

    it('do not change where nothing was to be removed', async () => {
      await put(1);
      await commit(storage, [
        { kind: 'room_keys_removed', userId: alice, version: 1, keys: [{ roomId: attic, sessionId: 'none' }] },
      ]);
      expect(await storage.keyBackups.find(alice, 1)).toMatchObject({ count: 0, etag: 0 });
    });

    it('refuse a commit that was decided on other keys, or on another newest version', async () => {
      await put(1);
      const last = (version: number) => ({ kind: 'key_backup_last' as const, userId: alice, version });
      const revision = (etag: number) => ({ kind: 'key_backup_revision' as const, userId: alice, version: 1, etag });
      const rows: Row[] = [{ kind: 'room_keys', userId: alice, version: 1, keys: [key(lobby, 'a')] }];
      await commit(storage, rows, { expect: [revision(0), last(1)] });
      expect((await storage.commit({ rows, expect: [revision(0)] })).outcome).toBe('conflict');
      expect((await storage.commit({ rows, expect: [last(0)] })).outcome).toBe('conflict');
      await commit(storage, [{ kind: 'key_backup_removed', userId: alice, version: 1 }]);
      expect((await storage.commit({ rows, expect: [revision(1)] })).outcome).toBe('conflict');
      expect((await storage.commit({ rows: [], expect: [last(1)] })).outcome).toBe('committed');
    });

    it('go when their owner is erased, and nobody else’s do', async () => {
      const account = { passwordHash: null, createdAtMs: 1, deactivatedAtMs: null };
      await commit(storage, [
        { kind: 'account', userId: alice, ...account },
        { kind: 'key_backup', ...backup(1, bob) },
      ]);
      await put(1);
      await putKeys(1, key(lobby, 'a'));
      await commit(storage, [{ kind: 'account_erased', userId: alice }]);
      expect(await storage.keyBackups.findNewest(alice)).toBeUndefined();
      expect(await storage.keyBackups.listKeys(alice, 1, all)).toEqual([]);
      expect((await storage.keyBackups.findNewest(bob))?.version).toBe(1);
    });
  });
}

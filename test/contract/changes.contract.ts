import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Storage } from '../../src/storage/contract/storage.ts';
import { alice, commit, eventId, eventRow, lobby, memberRow, type OpenStorage, positionAt } from './make.ts';

export function describeChanges(open: OpenStorage): void {
  describe('the log of changes', () => {
    let storage: Storage;
    beforeEach(async () => {
      storage = await open();
    });
    afterEach(() => storage.stop());

    const join = () =>
      commit(storage, [
        eventRow('join', { type: 'm.room.member', stateKey: alice }),
        memberRow(alice, 'join', { eventId: eventId('join') }),
        { kind: 'current_state', roomId: lobby, snapshotId: storage.newSnapshotId(), set: new Map(), removed: [] },
      ]);
    const name = (displayname: string) =>
      commit(storage, [{ kind: 'profile', userId: alice, displayname, avatarUrl: null }]);

    it('keeps events, memberships, profiles and account data, and only those', async () => {
      const start = storage.position();
      await join();
      await name('A');
      await commit(storage, [
        { kind: 'account_data', userId: alice, roomId: null, type: 'a', content: { n: 1 } },
        {
          kind: 'receipt',
          roomId: lobby,
          userId: alice,
          receiptType: 'm.read',
          threadId: null,
          eventId: eventId('join'),
          ts: 1,
        },
        { kind: 'access_tokens_removed', userId: alice, deviceId: null },
      ]);
      const changes = await storage.changes.list(start, 100);
      expect(changes.map(({ kind }) => kind)).toEqual(['event', 'membership', 'profile', 'account_data']);
      expect(changes[1]).toMatchObject({ userId: alice, before: null, after: 'join', eventId: '$join' });
    });

    it('says just what the listener was told', async () => {
      const told: unknown[] = [];
      storage.onCommit((changes) => told.push(...changes));
      await join();
      expect(await storage.changes.list(0, 10)).toEqual(told);
    });

    it('goes on behind a position', async () => {
      await name('A');
      const second = positionAt(await name('B'));
      await name('C');
      const found = await storage.changes.list(second, 10);
      expect(found).toMatchObject([{ after: { displayname: 'C' } }]);
      expect(await storage.changes.list(storage.position(), 10)).toEqual([]);
    });

    it('never parts the changes of one position', async () => {
      await join();
      await name('A');
      expect((await storage.changes.list(0, 1)).map(({ kind }) => kind)).toEqual(['event', 'membership']);
    });

    it('remembers where each reaction stands', async () => {
      expect(await storage.changes.findCursor('one')).toBeUndefined();
      await commit(storage, [{ kind: 'reaction_cursor', name: 'one', position: 5 }]);
      await commit(storage, [{ kind: 'reaction_cursor', name: 'one', position: 6 }]);
      expect(await storage.changes.findCursor('one')).toBe(6);
      expect(await storage.changes.findCursor('two')).toBeUndefined();
    });

    it('reaches back to the slowest reaction', async () => {
      const first = positionAt(await name('A'));
      const second = positionAt(await name('B'));
      const third = positionAt(await name('C'));
      await commit(storage, [{ kind: 'reaction_cursor', name: 'slow', position: first }]);
      await commit(storage, [{ kind: 'reaction_cursor', name: 'quick', position: third }]);
      expect((await storage.changes.list(0, 10)).map(({ position }) => position)).toEqual([second, third]);
      await commit(storage, [{ kind: 'reaction_cursor', name: 'slow', position: third }]);
      expect(await storage.changes.list(0, 10)).toEqual([]);
    });
  });
}

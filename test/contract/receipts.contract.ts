import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RoomId, UserId } from '../../src/matrix/ids.ts';
import type { Change } from '../../src/storage/contract/changes.ts';
import type { ReceiptType } from '../../src/storage/contract/receipts.ts';
import type { Storage } from '../../src/storage/contract/storage.ts';
import { alice, attic, bob, commit, eventId, lobby, type OpenStorage, positionAt, room } from './make.ts';

export function describeReceipts(open: OpenStorage): void {
  describe('receipts', () => {
    let storage: Storage;
    beforeEach(async () => {
      storage = await open();
    });
    afterEach(() => storage.stop());

    const put = async (
      roomId: RoomId,
      userId: UserId,
      event: string,
      { receiptType = 'm.read', threadId = null }: { receiptType?: ReceiptType; threadId?: string | null } = {},
    ) =>
      positionAt(
        await commit(storage, [
          { kind: 'receipt', roomId, userId, receiptType, threadId, eventId: eventId(event), ts: 1 },
        ]),
      );

    it('keeps the latest for each room, user, type and thread', async () => {
      await put(lobby, alice, 'one');
      const position = await put(lobby, alice, 'two');
      await put(lobby, alice, 'private', { receiptType: 'm.read.private' });
      await put(lobby, alice, 'main', { threadId: 'main' });
      await put(lobby, bob, 'bob');
      expect(await storage.receipts.find(lobby, alice, 'm.read', null)).toEqual({
        roomId: lobby,
        userId: alice,
        receiptType: 'm.read',
        threadId: null,
        eventId: '$two',
        ts: 1,
        position,
      });
      expect(await storage.receipts.find(lobby, alice, 'm.read.private', null)).toMatchObject({ eventId: '$private' });
      expect(await storage.receipts.find(lobby, alice, 'm.read', 'main')).toMatchObject({
        eventId: '$main',
        threadId: 'main',
      });
      expect(await storage.receipts.find(attic, alice, 'm.read', null)).toBeUndefined();
      expect((await storage.receipts.listOfRoom(lobby, storage.position())).map((found) => found.eventId)).toEqual([
        '$two',
        '$private',
        '$main',
        '$bob',
      ]);
    });

    it('lists those of some rooms behind one position and up to another', async () => {
      const first = await put(lobby, alice, 'one');
      await put(attic, alice, 'two');
      await put(room('cellar'), alice, 'three');
      const last = await put(lobby, bob, 'four');
      await put(lobby, bob, 'five', { threadId: 'main' });
      const found = await storage.receipts.listSince(new Set([lobby, attic]), first, last);
      expect(found.map((receipt) => receipt.eventId)).toEqual(['$two', '$four']);
      expect(await storage.receipts.listSince(new Set(), 0, last)).toEqual([]);
    });

    it('lists all of some users in a room', async () => {
      await put(lobby, alice, 'one');
      await put(lobby, alice, 'two', { threadId: 'main' });
      await put(lobby, bob, 'three');
      await put(attic, alice, 'four');
      const found = async (...users: UserId[]) =>
        (await storage.receipts.listOfUsers(lobby, users)).map((receipt) => receipt.eventId).sort();
      expect(await found(alice, alice)).toEqual(['$one', '$two']);
      expect(await found(alice, bob)).toEqual(['$one', '$three', '$two']);
      expect(await found()).toEqual([]);
    });

    it('lists those of a room up to a position', async () => {
      const first = await put(lobby, alice, 'one');
      await put(lobby, bob, 'two');
      expect(await storage.receipts.listOfRoom(lobby, first)).toMatchObject([{ eventId: '$one' }]);
      expect(await storage.receipts.listOfRoom(attic, storage.position())).toEqual([]);
    });

    it('tells of each', async () => {
      const told: Change[] = [];
      storage.onCommit((changes) => told.push(...changes));
      const position = await put(lobby, alice, 'one');
      expect(told).toEqual([
        { kind: 'receipt', position, roomId: lobby, userId: alice, receiptType: 'm.read', eventId: '$one' },
      ]);
    });
  });
}

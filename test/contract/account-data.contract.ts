import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RoomId, UserId } from '../../src/matrix/ids.ts';
import type { JsonObject } from '../../src/matrix/pdu.ts';
import type { Change } from '../../src/storage/contract/changes.ts';
import type { Storage } from '../../src/storage/contract/storage.ts';
import { alice, bob, commit, lobby, type OpenStorage, positionAt, user } from './make.ts';

export function describeAccountData(open: OpenStorage): void {
  describe('account data', () => {
    let storage: Storage;
    beforeEach(async () => {
      storage = await open();
    });
    afterEach(() => storage.stop());

    const put = async (userId: UserId, roomId: RoomId | null, type: string, content: JsonObject) =>
      positionAt(await commit(storage, [{ kind: 'account_data', userId, roomId, type, content }]));

    it('keeps one content for each user, room and type', async () => {
      await put(alice, null, 'm.tag', { first: true });
      const position = await put(alice, null, 'm.tag', { second: true });
      await put(alice, lobby, 'm.tag', { room: true });
      await put(bob, null, 'm.tag', { bob: true });
      expect(await storage.accountData.find(alice, null, 'm.tag')).toEqual({
        userId: alice,
        roomId: null,
        type: 'm.tag',
        content: { second: true },
        position,
      });
      expect(await storage.accountData.find(alice, lobby, 'm.tag')).toMatchObject({ content: { room: true } });
      expect(await storage.accountData.find(alice, null, 'other')).toBeUndefined();
    });

    it('lists what one user wrote behind one position and up to another, oldest first', async () => {
      const first = await put(alice, null, 'a', {});
      await put(alice, lobby, 'b', {});
      await put(bob, null, 'a', {});
      const last = await put(alice, null, 'c', {});
      await put(alice, null, 'd', {});
      const found = await storage.accountData.listSince(alice, first, last);
      expect(found.map(({ type, roomId }) => [type, roomId])).toEqual([
        ['b', lobby],
        ['c', null],
      ]);
    });

    it('lists one type by user and never parts those of one user', async () => {
      await put(bob, null, 'm.ignored_user_list', { of: 'bob' });
      await put(alice, lobby, 'm.ignored_user_list', { of: 'alice in the lobby' });
      await put(alice, null, 'm.ignored_user_list', { of: 'alice' });
      await put(user('zoe'), null, 'other', {});
      const first = await storage.accountData.listOfType('m.ignored_user_list', null, 1);
      expect(first.map(({ userId }) => userId)).toEqual([alice, alice]);
      const second = await storage.accountData.listOfType('m.ignored_user_list', alice, 1);
      expect(second).toEqual([{ userId: bob, roomId: null, type: 'm.ignored_user_list', content: { of: 'bob' } }]);
      expect(await storage.accountData.listOfType('m.ignored_user_list', bob, 1)).toEqual([]);
    });

    it('is read for many users at once', async () => {
      await put(alice, null, 'a', { of: 'alice' });
      await put(alice, lobby, 'a', { of: 'alice in the lobby' });
      await put(alice, null, 'b', {});
      await put(bob, null, 'a', { of: 'bob' });
      const found = await storage.accountData.listOfUsers([alice, user('zoe'), alice], 'a');
      expect(found).toEqual([{ userId: alice, roomId: null, type: 'a', content: { of: 'alice' } }]);
      expect(await storage.accountData.listOfUsers([alice, bob], 'a')).toHaveLength(2);
    });

    it('tells the content before and after', async () => {
      await put(alice, null, 'a', { n: 1 });
      const told: Change[] = [];
      storage.onCommit((changes) => told.push(...changes));
      const position = await put(alice, null, 'a', { n: 2 });
      expect(told).toEqual([
        {
          kind: 'account_data',
          position,
          userId: alice,
          roomId: null,
          type: 'a',
          before: { n: 1 },
          content: { n: 2 },
        },
      ]);
    });

    it('keeps keys that JavaScript treats in its own way', async () => {
      const content: JsonObject = JSON.parse('{"__proto__":{"x":1},"2":1,"1":2}');
      await put(alice, null, 'a', content);
      const found = await storage.accountData.find(alice, null, 'a');
      expect(JSON.stringify(found?.content)).toBe(JSON.stringify(content));
    });
  });
}

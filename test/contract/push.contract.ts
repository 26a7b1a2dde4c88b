import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { PusherRow } from '../../src/storage/contract/push.ts';
import type { Storage } from '../../src/storage/contract/storage.ts';
import { alice, bob, commit, device, type OpenStorage } from './make.ts';

export function describePush(open: OpenStorage): void {
  describe('pushers', () => {
    let storage: Storage;
    beforeEach(async () => {
      storage = await open();
    });
    afterEach(() => storage.stop());

    const pusher = (pushkey: string, more: Partial<PusherRow> = {}): PusherRow => ({
      userId: alice,
      appId: 'app',
      pushkey,
      deviceId: device('PHONE'),
      kind: 'http',
      appDisplayName: 'App',
      deviceDisplayName: 'Phone',
      profileTag: null,
      lang: 'en',
      data: { url: 'https://a.test/', own: { list: [1, 'é'] } },
      createdAtMs: 1,
      ...more,
    });
    const put = (...pushers: PusherRow[]) =>
      commit(
        storage,
        pushers.map((one) => ({ kind: 'pusher' as const, pusher: one })),
      );
    const keysOf = async (userId = alice) => (await storage.push.listPushers(userId)).map(({ pushkey }) => pushkey);

    const listOf = async (userId = alice): Promise<PusherRow[]> =>
      (await storage.push.listPushers(userId)).map(({ toldUpTo: _, failingSinceMs: __, ...row }) => row);

    it('are kept by user, application and key, and replaced', async () => {
      await put(pusher('b'), pusher('a', { profileTag: 'tag' }), pusher('a', { userId: bob }));
      expect(await listOf(alice)).toEqual([pusher('a', { profileTag: 'tag' }), pusher('b')]);
      await put(pusher('a', { lang: 'de', deviceId: device('OTHER') }));
      expect((await listOf(alice))[0]).toEqual(pusher('a', { lang: 'de', deviceId: device('OTHER') }));
      expect(await keysOf(bob)).toEqual(['a']);
    });

    it('are removed one by one', async () => {
      await put(pusher('a'), pusher('b'), pusher('a', { appId: 'other' }), pusher('a', { userId: bob }));
      await commit(storage, [{ kind: 'pusher_removed', userId: alice, appId: 'app', pushkey: 'a' }]);
      expect((await storage.push.listPushers(alice)).map(({ appId, pushkey }) => [appId, pushkey])).toEqual([
        ['app', 'b'],
        ['other', 'a'],
      ]);
      expect(await keysOf(bob)).toEqual(['a']);
    });

    it('are taken from others who had the key', async () => {
      await put(pusher('a'), pusher('a', { userId: bob }), pusher('b', { userId: bob }));
      await commit(storage, [{ kind: 'pushers_of_others_removed', userId: alice, appId: 'app', pushkey: 'a' }]);
      expect([await keysOf(alice), await keysOf(bob)]).toEqual([['a'], ['b']]);
    });

    it('know how far they have told, from where they were set, also when they are set anew', async () => {
      const progressOf = async () =>
        (await storage.push.listPushers(alice)).map(({ toldUpTo, failingSinceMs }) => [toldUpTo, failingSinceMs]);
      const begun = storage.position();
      await put(pusher('a'));
      expect(await progressOf()).toEqual([[begun, null]]);
      const key = { userId: alice, appId: 'app', pushkey: 'a' };
      await commit(storage, [{ kind: 'pusher_progress', ...key, toldUpTo: begun + 5, failingSinceMs: 7 }]);
      await put(pusher('a', { lang: 'de' }));
      expect(await progressOf()).toEqual([[begun + 5, 7]]);
      await commit(storage, [{ kind: 'pusher_progress', ...key, pushkey: 'b', toldUpTo: 1, failingSinceMs: null }]);
      expect(await progressOf()).toEqual([[begun + 5, 7]]);
    });

    it('have owners, who are listed and told of when theirs change', async () => {
      const told: unknown[] = [];
      storage.onCommit((changes) => {
        for (const change of changes) if (change.kind === 'pushers') told.push(change.userId);
      });
      await put(pusher('a'), pusher('b'), pusher('a', { userId: bob }));
      expect(await storage.push.listOwners(null, 10)).toEqual([alice, bob]);
      expect(await storage.push.listOwners(null, 1)).toEqual([alice]);
      expect(await storage.push.listOwners(alice, 10)).toEqual([bob]);
      expect(told).toEqual([alice, alice, bob]);
      await commit(storage, [{ kind: 'pushers_of_others_removed', userId: alice, appId: 'app', pushkey: 'a' }]);
      await commit(storage, [{ kind: 'pusher_removed', userId: alice, appId: 'app', pushkey: 'b' }]);
      expect(told.slice(3)).toEqual([bob, alice]);
    });

    it('go with their device, and no other', async () => {
      await put(pusher('a'), pusher('b', { deviceId: device('LAPTOP') }), pusher('c', { userId: bob }));
      await commit(storage, [{ kind: 'device_removed', userId: alice, deviceId: device('PHONE') }]);
      expect([await keysOf(alice), await keysOf(bob)]).toEqual([['b'], ['c']]);
    });
  });
}

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

    it('are kept by user, application and key, and replaced', async () => {
      await put(pusher('b'), pusher('a', { profileTag: 'tag' }), pusher('a', { userId: bob }));
      expect(await storage.push.listPushers(alice)).toEqual([pusher('a', { profileTag: 'tag' }), pusher('b')]);
      await put(pusher('a', { lang: 'de', deviceId: device('OTHER') }));
      expect((await storage.push.listPushers(alice))[0]).toEqual(
        pusher('a', { lang: 'de', deviceId: device('OTHER') }),
      );
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

    it('go with their device, and no other', async () => {
      await put(pusher('a'), pusher('b', { deviceId: device('LAPTOP') }), pusher('c', { userId: bob }));
      await commit(storage, [{ kind: 'device_removed', userId: alice, deviceId: device('PHONE') }]);
      expect([await keysOf(alice), await keysOf(bob)]).toEqual([['b'], ['c']]);
    });
  });
}

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AccountRow, DeviceRow } from '../../src/storage/contract/accounts.ts';
import type { Change } from '../../src/storage/contract/changes.ts';
import type { Storage } from '../../src/storage/contract/storage.ts';
import { alice, bob, commit, device, eventId, type OpenStorage, positionAt } from './make.ts';

export function describeAccounts(open: OpenStorage): void {
  describe('accounts', () => {
    let storage: Storage;
    let changes: Change[];
    beforeEach(async () => {
      storage = await open();
      changes = [];
      storage.onCommit((told) => changes.push(...told));
    });
    afterEach(() => storage.stop());

    const account: AccountRow = { userId: alice, passwordHash: 'hash', createdAtMs: 1, deactivatedAtMs: null };
    const phone: DeviceRow = {
      userId: alice,
      deviceId: device('PHONE'),
      displayName: 'Phone',
      createdAtMs: 2,
      lastSeenAtMs: null,
      lastSeenIp: null,
    };
    const token = (tokenHash: string, deviceId: string) => ({
      kind: 'access_token' as const,
      tokenHash,
      userId: alice,
      deviceId: device(deviceId),
      createdAtMs: 3,
    });

    it('finds an account that was stored and no other', async () => {
      await commit(storage, [{ kind: 'account', ...account }]);
      expect(await storage.accounts.findAccount(alice)).toEqual(account);
      expect(await storage.accounts.findAccount(bob)).toBeUndefined();
    });

    it('replaces an account and tells of its deactivation once', async () => {
      await commit(storage, [{ kind: 'account', ...account }]);
      const gone = { ...account, passwordHash: null, deactivatedAtMs: 9 };
      await commit(storage, [{ kind: 'account', ...gone }]);
      await commit(storage, [{ kind: 'account', ...gone }]);
      expect(await storage.accounts.findAccount(alice)).toEqual(gone);
      expect(changes).toEqual([{ kind: 'account_deactivated', userId: alice }]);
    });

    it('lists accounts that were not deactivated, page by page', async () => {
      await commit(storage, [
        { kind: 'account', ...account },
        { kind: 'account', ...account, userId: bob },
        { kind: 'account', ...account, userId: '@gone:here.test' as typeof alice, deactivatedAtMs: 5 },
      ]);
      expect((await storage.accounts.listAccounts(null, 1)).map(({ userId }) => userId)).toEqual([alice]);
      expect((await storage.accounts.listAccounts(alice, 10)).map(({ userId }) => userId)).toEqual([bob]);
    });

    it('stores devices and updates them', async () => {
      await commit(storage, [{ kind: 'device', ...phone }]);
      const seen = { ...phone, lastSeenAtMs: 7, lastSeenIp: '127.0.0.1' };
      await commit(storage, [{ kind: 'device', ...seen }]);
      expect(await storage.accounts.findDevice(alice, phone.deviceId)).toEqual(seen);
      expect(await storage.accounts.findDevice(bob, phone.deviceId)).toBeUndefined();
      expect(await storage.accounts.listDevices(alice)).toEqual([seen]);
      expect(await storage.accounts.listDevices(bob)).toEqual([]);
    });

    it('removes with a device its tokens and transactions, and none of another', async () => {
      const transaction = (deviceId: string) => ({
        kind: 'client_transaction' as const,
        userId: alice,
        deviceId: device(deviceId),
        scope: 'send',
        transactionId: 't',
        eventId: eventId('e'),
        createdAtMs: Number.MAX_SAFE_INTEGER,
      });
      await commit(storage, [
        { kind: 'device', ...phone },
        { kind: 'device', ...phone, deviceId: device('LAPTOP') },
        token('one', 'PHONE'),
        token('two', 'LAPTOP'),
        transaction('PHONE'),
        transaction('LAPTOP'),
      ]);
      await commit(storage, [{ kind: 'device_removed', userId: alice, deviceId: phone.deviceId }]);
      expect((await storage.accounts.listDevices(alice)).map(({ deviceId }) => deviceId)).toEqual(['LAPTOP']);
      expect(await storage.accounts.findAccessToken('one')).toBeUndefined();
      expect(await storage.accounts.findAccessToken('two')).toMatchObject({ userId: alice, deviceId: 'LAPTOP' });
      expect(await storage.events.findClientTransaction(alice, phone.deviceId, 'send', 't')).toBeUndefined();
      expect(await storage.events.findClientTransaction(alice, device('LAPTOP'), 'send', 't')).toBe('$e');
      expect(changes).toEqual([{ kind: 'device_removed', userId: alice, deviceId: 'PHONE' }]);
    });

    it('removes the tokens of one device or of all', async () => {
      await commit(storage, [token('one', 'PHONE'), token('two', 'PHONE'), token('three', 'LAPTOP')]);
      await commit(storage, [{ kind: 'access_tokens_removed', userId: alice, deviceId: device('PHONE') }]);
      expect(await storage.accounts.findAccessToken('one')).toBeUndefined();
      expect(await storage.accounts.findAccessToken('two')).toBeUndefined();
      expect(await storage.accounts.findAccessToken('three')).toBeDefined();
      await commit(storage, [{ kind: 'access_tokens_removed', userId: alice, deviceId: null }]);
      expect(await storage.accounts.findAccessToken('three')).toBeUndefined();
      expect(changes).toEqual([
        { kind: 'access_tokens_removed', userId: alice, deviceId: 'PHONE' },
        { kind: 'access_tokens_removed', userId: alice, deviceId: null },
      ]);
    });

    it('tells what a profile was before', async () => {
      const first = await commit(storage, [{ kind: 'profile', userId: alice, displayname: 'A', avatarUrl: null }]);
      const second = await commit(storage, [
        { kind: 'profile', userId: alice, displayname: null, avatarUrl: 'mxc://a/b' },
      ]);
      expect(await storage.accounts.findProfile(alice)).toEqual({
        userId: alice,
        displayname: null,
        avatarUrl: 'mxc://a/b',
      });
      expect(await storage.accounts.findProfile(bob)).toBeUndefined();
      expect(changes).toEqual([
        {
          kind: 'profile',
          position: positionAt(first),
          userId: alice,
          before: null,
          after: { displayname: 'A', avatarUrl: null },
        },
        {
          kind: 'profile',
          position: positionAt(second),
          userId: alice,
          before: { displayname: 'A', avatarUrl: null },
          after: { displayname: null, avatarUrl: 'mxc://a/b' },
        },
      ]);
    });

    it('keeps filters by user and id', async () => {
      await commit(storage, [{ kind: 'filter', userId: alice, filterId: '1', definition: { room: {} } }]);
      expect(await storage.accounts.findFilter(alice, '1')).toEqual({
        userId: alice,
        filterId: '1',
        definition: { room: {} },
      });
      expect(await storage.accounts.findFilter(bob, '1')).toBeUndefined();
    });
  });
}

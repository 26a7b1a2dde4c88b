import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AccountRow, DeviceRow } from '../../src/storage/contract/accounts.ts';
import type { Change } from '../../src/storage/contract/changes.ts';
import type { Expectation } from '../../src/storage/contract/commit.ts';
import type { Storage } from '../../src/storage/contract/storage.ts';
import { alice, attic, bob, commit, device, eventId, memberRow, type OpenStorage, positionAt } from './make.ts';

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
    const anyToken = (tokenHash: string, deviceId: string, generation: number) => ({
      tokenHash,
      userId: alice,
      deviceId: device(deviceId),
      generation,
      createdAtMs: 3,
      expiresAtMs: null,
    });
    const token = (tokenHash: string, deviceId: string, generation = 0) => ({
      kind: 'access_token' as const,
      ...anyToken(tokenHash, deviceId, generation),
    });
    const refreshToken = (tokenHash: string, deviceId: string, generation: number) => ({
      kind: 'refresh_token' as const,
      ...anyToken(tokenHash, deviceId, generation),
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

    it('lists deactivated users who are still in a room, invited or knocking, page by page', async () => {
      const users = [
        '@a:here.test',
        '@b:here.test',
        '@c:here.test',
        '@d:here.test',
        '@e:here.test',
      ] as (typeof alice)[];
      const memberships = ['join', 'invite', 'knock', 'leave', 'ban'] as const;
      await commit(storage, [
        ...users.map((userId) => ({ kind: 'account' as const, ...account, userId, deactivatedAtMs: 5 })),
        { kind: 'account', ...account },
        { kind: 'room', roomId: attic, version: '11' },
        ...users.map((userId, index) => memberRow(userId, memberships[index] ?? 'join', { roomId: attic })),
        memberRow(alice, 'join', { roomId: attic }),
      ]);
      expect(await storage.accounts.listDeparting(null, 2)).toEqual(users.slice(0, 2));
      expect(await storage.accounts.listDeparting(users[1] ?? null, 10)).toEqual(users.slice(2, 3));
    });

    it('erases account data and filters of one user, and remembers when', async () => {
      const owned = (userId: typeof alice) => [
        { kind: 'account' as const, ...account, userId },
        { kind: 'account_data' as const, userId, roomId: null, type: 't', content: {} },
        { kind: 'filter' as const, userId, filterId: '1', definition: {} },
        { kind: 'profile_field' as const, userId, field: 'm.tz', value: 'UTC' },
      ];
      await commit(storage, [...owned(alice), ...owned(bob)]);
      const erased = await commit(storage, [{ kind: 'account_erased', userId: alice }]);
      expect(await storage.accountData.find(alice, null, 't')).toBeUndefined();
      expect(await storage.accounts.findFilter(alice, '1')).toBeUndefined();
      expect(await storage.accounts.listProfileFields(alice)).toEqual({});
      expect(await storage.accounts.listProfileFields(bob)).toEqual({ 'm.tz': 'UTC' });
      expect(await storage.accountData.find(bob, null, 't')).toBeDefined();
      expect(await storage.accounts.findFilter(bob, '1')).toBeDefined();
      await commit(storage, [{ kind: 'account', ...account, deactivatedAtMs: 9 }]);
      expect([storage.accounts.erasedAt(alice), storage.accounts.erasedAt(bob)]).toEqual([
        positionAt(erased),
        undefined,
      ]);
    });

    it('does not take an erasure for one that was undone', async () => {
      await commit(storage, [{ kind: 'account', ...account }]);
      const twice = token('same', 'PHONE');
      await expect(
        storage.commit({ rows: [{ kind: 'account_erased', userId: alice }, twice, twice] }),
      ).rejects.toThrow();
      expect(storage.accounts.erasedAt(alice)).toBeUndefined();
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
        refreshToken('refresh one', 'PHONE', 1),
        refreshToken('refresh two', 'LAPTOP', 1),
        transaction('PHONE'),
        transaction('LAPTOP'),
      ]);
      await commit(storage, [{ kind: 'device_removed', userId: alice, deviceId: phone.deviceId }]);
      expect((await storage.accounts.listDevices(alice)).map(({ deviceId }) => deviceId)).toEqual(['LAPTOP']);
      expect(await storage.accounts.findAccessToken('one')).toBeUndefined();
      expect(await storage.accounts.findAccessToken('two')).toMatchObject({ userId: alice, deviceId: 'LAPTOP' });
      expect(await storage.accounts.findRefreshToken('refresh one')).toBeUndefined();
      expect(await storage.accounts.findRefreshToken('refresh two')).toBeDefined();
      expect(await storage.events.findClientTransaction(alice, phone.deviceId, 'send', 't')).toBeUndefined();
      expect(await storage.events.findClientTransaction(alice, device('LAPTOP'), 'send', 't')).toBe('$e');
      expect(changes).toMatchObject([
        { kind: 'device_removed', userId: alice, deviceId: 'PHONE' },
        { kind: 'device_list', userId: alice, deviceIds: ['PHONE'] },
      ]);
    });

    it('removes the tokens of one device or of all', async () => {
      await commit(storage, [token('one', 'PHONE'), token('two', 'PHONE'), token('three', 'LAPTOP')]);
      await commit(storage, [refreshToken('r1', 'PHONE', 1), refreshToken('r2', 'LAPTOP', 1)]);
      await commit(storage, [{ kind: 'access_tokens_removed', userId: alice, deviceId: device('PHONE') }]);
      expect(await storage.accounts.findAccessToken('one')).toBeUndefined();
      expect(await storage.accounts.findAccessToken('two')).toBeUndefined();
      expect(await storage.accounts.findAccessToken('three')).toBeDefined();
      expect(await storage.accounts.findRefreshToken('r1')).toBeUndefined();
      expect(await storage.accounts.findRefreshToken('r2')).toBeDefined();
      await commit(storage, [{ kind: 'access_tokens_removed', userId: alice, deviceId: null }]);
      expect(await storage.accounts.findAccessToken('three')).toBeUndefined();
      expect(await storage.accounts.findRefreshToken('r2')).toBeUndefined();
      expect(changes).toEqual([
        { kind: 'access_tokens_removed', userId: alice, deviceId: 'PHONE' },
        { kind: 'access_tokens_removed', userId: alice, deviceId: null },
      ]);
    });

    it('keeps with a token when it ends, and says whether it replaces another of its device', async () => {
      const pair = (generation: number, deviceId = 'PHONE') => [
        { ...token(`a${deviceId}${generation}`, deviceId, generation), expiresAtMs: 9 },
        refreshToken(`r${deviceId}${generation}`, deviceId, generation),
      ];
      await commit(storage, [...pair(1), ...pair(2), ...pair(7, 'LAPTOP'), token('plain', 'PHONE')]);
      const supersedes = async (hash: string) => (await storage.accounts.findAccessToken(hash))?.supersedesOlder;
      expect(await storage.accounts.findAccessToken('aPHONE1')).toEqual({
        ...anyToken('aPHONE1', 'PHONE', 1),
        expiresAtMs: 9,
        supersedesOlder: false,
      });
      expect(await storage.accounts.findRefreshToken('rPHONE2')).toEqual(anyToken('rPHONE2', 'PHONE', 2));
      expect(await storage.accounts.findRefreshToken('aPHONE2')).toBeUndefined();
      expect([await supersedes('plain'), await supersedes('aPHONE2'), await supersedes('aLAPTOP7')]).toEqual([
        false,
        true,
        false,
      ]);
    });

    it('ends all tokens of a device but those of one generation', async () => {
      const pair = (generation: number, deviceId = 'PHONE') => [
        token(`a${deviceId}${generation}`, deviceId, generation),
        refreshToken(`r${deviceId}${generation}`, deviceId, generation),
      ];
      await commit(storage, [...pair(1), ...pair(2), ...pair(3), ...pair(1, 'LAPTOP')]);
      await commit(storage, [{ kind: 'tokens_superseded', userId: alice, deviceId: device('PHONE'), generation: 2 }]);
      const known = async (hashes: string[]) => {
        const found = await Promise.all(
          hashes.map(async (hash) => [
            await storage.accounts.findAccessToken(`a${hash}`),
            await storage.accounts.findRefreshToken(`r${hash}`),
          ]),
        );
        return found.map((two) => two.map((one) => one !== undefined));
      };
      expect(await known(['PHONE1', 'PHONE2', 'PHONE3', 'LAPTOP1'])).toEqual([
        [false, false],
        [true, true],
        [false, false],
        [true, true],
      ]);
      expect(changes).toEqual([{ kind: 'tokens_superseded', userId: alice, deviceId: 'PHONE', generation: 2 }]);
    });

    it('writes nothing on the strength of a token that is gone', async () => {
      await commit(storage, [token('a', 'PHONE'), refreshToken('r', 'PHONE', 0)]);
      const withToken = async (expectation: Expectation) =>
        (await storage.commit({ rows: [{ kind: 'account', ...account }], expect: [expectation] })).outcome;
      expect(await withToken({ kind: 'access_token_known', tokenHash: 'a' })).toBe('committed');
      expect(await withToken({ kind: 'refresh_token_known', tokenHash: 'r' })).toBe('committed');
      expect(await withToken({ kind: 'access_token_known', tokenHash: 'r' })).toBe('conflict');
      expect(await withToken({ kind: 'refresh_token_known', tokenHash: 'a' })).toBe('conflict');
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

    it('keeps further fields of profiles, any JSON, until they are removed', async () => {
      const put = (field: string, value: unknown, userId = alice) =>
        commit(storage, [{ kind: 'profile_field', userId, field, value }]);
      await put('b.c', [1, null, { é: true }]);
      await put('a.b', null);
      await put('a.b', 'x', bob);
      await put('b.c', 0.5);
      expect(await storage.accounts.listProfileFields(alice)).toEqual({ 'a.b': null, 'b.c': 0.5 });
      await commit(storage, [{ kind: 'profile_field_removed', userId: alice, field: 'a.b' }]);
      expect(await storage.accounts.listProfileFields(alice)).toEqual({ 'b.c': 0.5 });
      expect(await storage.accounts.listProfileFields(bob)).toEqual({ 'a.b': 'x' });
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

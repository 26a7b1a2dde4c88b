import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Change } from '../../src/storage/contract/changes.ts';
import type { Row } from '../../src/storage/contract/commit.ts';
import type { Storage } from '../../src/storage/contract/storage.ts';
import { alice, bob, commit, device, type OpenStorage, positionAt } from './make.ts';

export function describeDeviceKeys(open: OpenStorage): void {
  describe('device keys', () => {
    let storage: Storage;
    let changes: Change[];
    beforeEach(async () => {
      storage = await open();
      changes = [];
      storage.onCommit((told) => void changes.push(...told));
    });
    afterEach(() => storage.stop());

    const phone = device('PHONE');
    const laptop = device('LAPTOP');
    const own = (deviceId = phone, userId = alice, displayName: string | null = null): Row => ({
      kind: 'device',
      userId,
      deviceId,
      displayName,
      createdAtMs: 1,
      lastSeenAtMs: null,
      lastSeenIp: null,
    });
    const keys = (text: string) => ({ keys: { 'ed25519:X': text }, list: [1, 'é'] });

    it('are kept as they came, and replaced', async () => {
      await commit(storage, [{ kind: 'device_keys', userId: alice, deviceId: phone, keys: keys('a') }]);
      expect(await storage.deviceKeys.findDeviceKeys(alice, phone)).toEqual(keys('a'));
      await commit(storage, [{ kind: 'device_keys', userId: alice, deviceId: phone, keys: keys('b') }]);
      expect(await storage.deviceKeys.findDeviceKeys(alice, phone)).toEqual(keys('b'));
      expect(await storage.deviceKeys.findDeviceKeys(alice, laptop)).toBeUndefined();
      expect(await storage.deviceKeys.findDeviceKeys(bob, phone)).toBeUndefined();
    });

    it('are listed with the devices of users, those without keys too', async () => {
      await commit(storage, [
        own(phone, alice, 'Phone'),
        own(laptop),
        own(phone, bob),
        { kind: 'device_keys', userId: alice, deviceId: phone, keys: keys('a') },
      ]);
      expect(await storage.deviceKeys.listDevicesWithKeys([alice, alice])).toEqual([
        { userId: alice, deviceId: laptop, displayName: null, keys: null },
        { userId: alice, deviceId: phone, displayName: 'Phone', keys: keys('a') },
      ]);
      expect(await storage.deviceKeys.listDevicesWithKeys([alice, bob])).toHaveLength(3);
      expect(await storage.deviceKeys.listDevicesWithKeys([])).toEqual([]);
    });

    it('go with their device, and that is a change of the list', async () => {
      await commit(storage, [own(), { kind: 'device_keys', userId: alice, deviceId: phone, keys: keys('a') }]);
      changes.length = 0;
      const result = await commit(storage, [{ kind: 'device_removed', userId: alice, deviceId: phone }]);
      expect(await storage.deviceKeys.findDeviceKeys(alice, phone)).toBeUndefined();
      const position = positionAt(result);
      const common = { userId: alice, viewer: null, deviceIds: [phone], signingKeys: false };
      expect(changes).toEqual([
        { kind: 'device_removed', userId: alice, deviceId: phone },
        { kind: 'device_list', position, here: true, ...common },
      ]);
      expect(await storage.deviceLists.listChanged(bob, position - 1, position)).toEqual([alice]);
    });

    it('are no matter for users here where there were none', async () => {
      const before = storage.position();
      const result = await commit(storage, [own(), { kind: 'device_removed', userId: alice, deviceId: phone }]);
      expect(changes.at(-1)).toMatchObject({ kind: 'device_list', here: false, deviceIds: [phone] });
      expect(await storage.deviceLists.listChanged(bob, before, result.position)).toEqual([]);
    });
  });
}

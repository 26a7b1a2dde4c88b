import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Change } from '../../src/storage/contract/changes.ts';
import type { DeviceListChangeRow, RemoteDeviceList } from '../../src/storage/contract/device-lists.ts';
import type { Storage } from '../../src/storage/contract/storage.ts';
import { alice, bob, carol, commit, device, type OpenStorage, positionAt, user } from './make.ts';

export function describeDeviceLists(open: OpenStorage): void {
  let storage: Storage;
  const phone = device('PHONE');
  const laptop = device('LAPTOP');

  describe('changes of device lists', () => {
    beforeEach(async () => {
      storage = await open();
    });
    afterEach(() => storage.stop());

    const change = async (more: Partial<DeviceListChangeRow> = {}) =>
      positionAt(
        await commit(storage, [
          {
            kind: 'device_list_change',
            userId: alice,
            viewer: null,
            told: 'always',
            deviceIds: [phone],
            signingKeys: false,
            ...more,
          },
        ]),
      );
    const changed = (after: number, upTo: number, viewer = bob) => storage.deviceLists.listChanged(viewer, after, upTo);

    it('are found between two positions, a user once', async () => {
      const first = await change();
      const second = await change({ userId: carol });
      const third = await change();
      expect(await changed(first - 1, third)).toHaveLength(2);
      expect(await changed(first - 1, second)).toEqual([carol]);
      expect(await changed(second, third)).toEqual([alice]);
      expect(await changed(third, third + 10)).toEqual([]);
    });

    it('that only one user is to hear of are found for no other', async () => {
      const position = await change({ viewer: bob });
      expect(await changed(position - 1, position)).toEqual([alice]);
      expect(await changed(position - 1, position, alice)).toEqual([]);
    });

    it('of a device without keys are for other servers only', async () => {
      const told: Change[] = [];
      storage.onCommit((changes) => void told.push(...changes));
      const position = await change({ told: 'if_keys' });
      expect(await changed(position - 1, position)).toEqual([]);
      await commit(storage, [{ kind: 'device_keys', userId: alice, deviceId: phone, keys: {} }]);
      const second = await change({ told: 'if_keys', deviceIds: [laptop, phone] });
      expect(await changed(position, second)).toEqual([alice]);
      const third = await change({ told: 'if_keys', deviceIds: [], signingKeys: true, userId: bob });
      expect(await changed(second, third)).toEqual([bob]);
      expect(told.map((one) => one.kind === 'device_list' && one.here)).toEqual([false, true, true]);
      expect((await storage.changes.list(0, 10)).map(({ kind }) => kind)).toEqual(Array(3).fill('device_list'));
    });

    it('refuse a batch that was decided on an older one', async () => {
      const position = await change();
      const attempt = (since: number, userId = alice) =>
        storage.commit({ rows: [], expect: [{ kind: 'device_list_unchanged', userId, since }] });
      expect(await attempt(position - 1)).toMatchObject({ outcome: 'conflict' });
      expect(await attempt(position)).toMatchObject({ outcome: 'committed' });
      expect(await attempt(0, bob)).toMatchObject({ outcome: 'committed' });
    });

    it('have numbers for other servers, which are replaced', async () => {
      expect(await storage.deviceLists.findStream(alice)).toBeUndefined();
      await commit(storage, [{ kind: 'device_list_stream', userId: alice, streamId: 2, broadcastId: null }]);
      await commit(storage, [{ kind: 'device_list_stream', userId: alice, streamId: 3, broadcastId: 3 }]);
      expect(await storage.deviceLists.findStream(alice)).toEqual({ streamId: 3, broadcastId: 3 });
    });
  });

  describe('device lists of other servers', () => {
    beforeEach(async () => {
      storage = await open();
    });
    afterEach(() => storage.stop());

    const list = (more: Partial<RemoteDeviceList> = {}): RemoteDeviceList => ({
      userId: carol,
      streamId: 5,
      masterKey: { is: 'M' },
      selfSigningKey: null,
      devices: [
        { deviceId: laptop, displayName: null, keys: null },
        { deviceId: phone, displayName: 'Phone', keys: { is: 'P' } },
      ],
      ...more,
    });
    const put = (more: Partial<RemoteDeviceList> = {}) =>
      commit(storage, [{ kind: 'remote_device_list', fetchedAtMs: 7, ...list(more) }]);
    const fresh = (...userIds: (typeof carol)[]) => storage.deviceLists.listFreshLists(userIds);
    const stale = (userId = carol, retryAtMs = 10) =>
      commit(storage, [{ kind: 'remote_device_list_stale', userId, failures: 1, retryAtMs }]);

    it('are kept whole, and replaced whole', async () => {
      await put();
      expect(await fresh(carol, alice)).toEqual([list()]);
      await put({ streamId: null, devices: [], selfSigningKey: { is: 'S' }, masterKey: null });
      expect(await fresh(carol)).toEqual([
        list({ streamId: null, devices: [], selfSigningKey: { is: 'S' }, masterKey: null }),
      ]);
      const state = { userId: carol, state: 'fresh', streamId: null, fetchedAtMs: 7, failures: 0, retryAtMs: null };
      expect(await storage.deviceLists.findRemoteState(carol)).toEqual(state);
      expect(await storage.deviceLists.listRemoteStates([alice, carol])).toEqual([state]);
    });

    it('are not given once they are stale, and come in the order of the next question', async () => {
      const dave = user('dave', 'there.test');
      await put();
      await put({ userId: dave });
      await stale(carol, 20);
      await stale(dave, 10);
      expect(await fresh(carol, dave)).toEqual([]);
      expect((await storage.deviceLists.listStale(10)).map(({ userId }) => userId)).toEqual([dave, carol]);
      expect(await storage.deviceLists.listStale(1)).toHaveLength(1);
      await put();
      expect(await fresh(carol)).toEqual([list()]);
      expect(await storage.deviceLists.listStale(10)).toHaveLength(1);
    });

    it('are asked for by nobody where only updates came', async () => {
      await stale();
      expect(await storage.deviceLists.findRemoteState(carol)).toMatchObject({ state: 'seen', streamId: null });
      await stale();
      expect(await storage.deviceLists.listStale(10)).toEqual([]);
    });

    it('go on by updates: a device more, a device changed, a device less', async () => {
      await put();
      const update = (streamId: number, deviceId: typeof phone, keys: object | null) =>
        commit(storage, [
          {
            kind: 'remote_device',
            userId: carol,
            deviceId,
            streamId,
            device: keys && { deviceId, displayName: null, keys: { ...keys } },
          },
        ]);
      await update(6, device('NEW'), { is: 'N' });
      await update(7, phone, { is: 'Q' });
      await update(8, laptop, null);
      expect(await fresh(carol)).toEqual([
        list({
          streamId: 8,
          devices: [
            { deviceId: device('NEW'), displayName: null, keys: { is: 'N' } },
            { deviceId: phone, displayName: null, keys: { is: 'Q' } },
          ],
        }),
      ]);
      expect(await storage.deviceLists.isUpdateKnown(carol, 7)).toBe(true);
      expect(await storage.deviceLists.isUpdateKnown(carol, 9)).toBe(false);
    });

    it('go on by keys for signing, and only while they are fresh', async () => {
      await put();
      const update = (selfSigningKey: { is: string }) =>
        commit(storage, [{ kind: 'remote_signing_keys', userId: carol, masterKey: null, selfSigningKey }]);
      await update({ is: 'S' });
      expect(await fresh(carol)).toEqual([list({ selfSigningKey: { is: 'S' } })]);
      await stale();
      await update({ is: 'T' });
      expect(await fresh(carol)).toEqual([]);
    });

    it('remember the last hundred updates of a user of whom something is stored', async () => {
      const update = (streamId: number) =>
        commit(storage, [{ kind: 'remote_device_list_update', userId: carol, streamId }]);
      await update(1);
      expect(await storage.deviceLists.isUpdateKnown(carol, 1)).toBe(false);
      await stale();
      for (let streamId = 1; streamId <= 101; streamId += 1) await update(streamId);
      expect(await storage.deviceLists.isUpdateKnown(carol, 1)).toBe(false);
      expect(await storage.deviceLists.isUpdateKnown(carol, 2)).toBe(true);
      expect(await storage.deviceLists.isUpdateKnown(carol, 101)).toBe(true);
    });

    it('are removed with all that belongs to them', async () => {
      await put();
      await commit(storage, [{ kind: 'remote_device_lists_removed', userIds: [carol, alice] }]);
      expect(await storage.deviceLists.findRemoteState(carol)).toBeUndefined();
      expect(await storage.deviceLists.isUpdateKnown(carol, 5)).toBe(false);
      expect(await fresh(carol)).toEqual([]);
    });
  });
}

import { beforeEach, describe, expect, it, vi } from 'vitest';
import { createRemoteDeviceLists, type RemoteDeviceLists } from '../../../src/e2ee/device-lists/remote.ts';
import type { DeviceId, UserId } from '../../../src/matrix/ids.ts';
import type { JsonObject } from '../../../src/matrix/pdu.ts';
import type { ServerName } from '../../../src/matrix/server-name.ts';
import type { Storage } from '../../../src/storage/contract/storage.ts';
import { deviceKeys } from '../../support/key-fixture.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { openTestStorage } from '../../support/storage.ts';

const origin = 'evil.test' as ServerName;
const mallory = '@mallory:evil.test' as UserId;
const stranger = '@stranger:evil.test' as UserId;
const victim = '@victim:good.test' as UserId;
const phone = 'PHONE' as DeviceId;
const hourMs = 3_600_000;

let clock: ManualClock;
let storage: Storage;
let lists: RemoteDeviceLists;
const resync = vi.fn();

/** The list of mallory up to update 5, with one device. */
beforeEach(async () => {
  resync.mockReset();
  clock = new ManualClock();
  storage = await openTestStorage(clock);
  lists = createRemoteDeviceLists({ storage, sharesRoom: (userId) => userId !== stranger, resync, clock });
  for (const userId of [mallory, victim]) {
    const devices = [{ deviceId: phone, displayName: null, keys: deviceKeys(userId, phone) }];
    const list = { userId, streamId: 5, masterKey: null, selfSigningKey: null, devices };
    await storage.commit({ rows: [{ kind: 'remote_device_list', ...list, fetchedAtMs: clock.now() }] });
  }
  return () => storage.stop();
});

const update = (more: JsonObject = {}): JsonObject => ({
  user_id: mallory,
  device_id: phone,
  stream_id: 6,
  prev_id: [5],
  keys: deviceKeys(mallory, phone, 'new'),
  ...more,
});
const tell = (more: JsonObject = {}, from = origin) => lists.receiveDeviceListUpdate(from, update(more));
const listOf = async (userId: UserId) => (await storage.deviceLists.listFreshLists([userId]))[0];
const keysOf = async (userId: UserId) => (await listOf(userId))?.devices.find((d) => d.deviceId === phone)?.keys;

/** Nothing is written, nobody is asked, and the list stays as it was. */
async function expectNothing(act: () => Promise<void>): Promise<void> {
  const before = [storage.position(), await listOf(mallory), await listOf(victim)];
  await act();
  expect([storage.position(), await listOf(mallory), await listOf(victim)]).toEqual(before);
  expect(resync).not.toHaveBeenCalled();
}

describe('an update of devices', () => {
  it('that continues the list is taken in, and once', async () => {
    await tell();
    expect(await keysOf(mallory)).toEqual(deviceKeys(mallory, phone, 'new'));
    await expectNothing(() => tell());
    await expectNothing(() => tell({ keys: deviceKeys(mallory, phone, 'other under the same number') }));
  });

  it('of a user of another server is nobody’s to tell', async () => {
    await expectNothing(() => tell({ user_id: victim, keys: deviceKeys(victim, phone, 'forged') }));
    await expectNothing(() => tell({}, 'good.test' as ServerName));
  });

  it('of who shares no room is not kept', async () => {
    await expectNothing(() => tell({ user_id: stranger, keys: deviceKeys(stranger, phone) }));
    expect(await storage.deviceLists.findRemoteState(stranger)).toBeUndefined();
  });

  it('brings no keys that say they are another device’s or user’s', async () => {
    await tell({ keys: deviceKeys(victim, phone) });
    expect(await keysOf(mallory)).toBeNull();
    await tell({ stream_id: 7, prev_id: [6], keys: deviceKeys(mallory, 'OTHER') });
    expect(await keysOf(mallory)).toBeNull();
    expect(await keysOf(victim)).toEqual(deviceKeys(victim, phone));
  });

  it.each<[string, JsonObject]>([
    ['no user', { user_id: undefined }],
    ['a user that is none', { user_id: 'mallory' }],
    ['no device', { device_id: undefined }],
    ['a device without a name', { device_id: '' }],
    ['a device with an endless name', { device_id: 'x'.repeat(10_000) }],
    ['no number', { stream_id: undefined }],
    ['a negative number', { stream_id: -1 }],
    ['a number beyond what is exact', { stream_id: 2 ** 53 }],
    ['a huge number', { stream_id: 1e300 }],
    ['half a number', { stream_id: 6.5 }],
    ['a number as text', { stream_id: '6' }],
    ['predecessors that are no list', { prev_id: 5 }],
    ['a negative predecessor', { prev_id: [-5] }],
    ['a predecessor that is no number', { prev_id: [5, '4'] }],
  ])('with %s is dropped', async (_what, fault) => {
    await expectNothing(() => tell(fault));
  });

  it('that goes back says nothing new; much later it means that the other server counts anew', async () => {
    await expectNothing(() => tell({ stream_id: 3, prev_id: [] }));
    await clock.advance(hourMs);
    await tell({ stream_id: 2, prev_id: [] });
    expect(await listOf(mallory)).toBeUndefined();
    expect(resync).toHaveBeenCalledTimes(1);
  });

  it.each<[string, JsonObject]>([
    ['of which a predecessor was lost', { stream_id: 9, prev_id: [8] }],
    ['that names no predecessor', { prev_id: [] }],
    ['that says nothing of predecessors', { prev_id: undefined }],
    ['with one predecessor of two', { stream_id: 9, prev_id: [5, 8] }],
    ['with ten thousand predecessors', { prev_id: Array.from({ length: 10_000 }, (_, index) => index) }],
  ])('%s makes the list one that is asked for: it is told to nobody until then', async (_what, more) => {
    await tell(more);
    expect(await listOf(mallory)).toBeUndefined();
    expect(resync).toHaveBeenCalledTimes(1);
    expect(await listOf(victim)).toBeDefined();
  });

  it('after a gap is one question more, not one for each of many', async () => {
    for (let streamId = 9; streamId < 60; streamId += 1) await tell({ stream_id: streamId, prev_id: [streamId - 1] });
    expect(await storage.deviceLists.listStale(10)).toHaveLength(1);
  });

  it('after a gap does not hasten the next question to a server that failed', async () => {
    const retryAtMs = clock.now() + hourMs;
    await storage.commit({ rows: [{ kind: 'remote_device_list_stale', userId: mallory, failures: 4, retryAtMs }] });
    await tell({ stream_id: 9, prev_id: [8] });
    expect(await storage.deviceLists.findRemoteState(mallory)).toMatchObject({
      state: 'stale',
      failures: 4,
      retryAtMs,
    });
  });

  it('with the largest number shuts the list up for an hour at most', async () => {
    await tell({ stream_id: Number.MAX_SAFE_INTEGER });
    await expectNothing(() => tell({ stream_id: 7, prev_id: [6] }));
    await clock.advance(hourMs);
    await tell({ stream_id: 8, prev_id: [7] });
    expect(resync).toHaveBeenCalledTimes(1);
  });
});

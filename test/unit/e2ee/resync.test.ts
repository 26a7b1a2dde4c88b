import { beforeEach, describe, expect, it, vi } from 'vitest';
import { silentLog } from '../../../src/base/log.ts';
import { createDeviceListResync, type DeviceListResync } from '../../../src/e2ee/device-lists/resync.ts';
import { FederationError } from '../../../src/federation-out/requests-contract.ts';
import type { DeviceId, UserId } from '../../../src/matrix/ids.ts';
import type { JsonObject } from '../../../src/matrix/pdu.ts';
import type { ServerName } from '../../../src/matrix/server-name.ts';
import type { Storage } from '../../../src/storage/contract/storage.ts';
import { deviceKeys } from '../../support/key-fixture.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { unjitteredRandom } from '../../support/random.ts';
import { openTestStorage } from '../../support/storage.ts';

const alice = '@alice:here.test' as UserId;
const mallory = '@mallory:evil.test' as UserId;
const phone = 'PHONE' as DeviceId;
const secondMs = 1_000;
const hourMs = 3_600_000;

let clock: ManualClock;
let storage: Storage;
let resync: DeviceListResync;
let shares = true;
/** What the other server does with a question. */
let answer: (userId: UserId) => Promise<JsonObject>;
const asked = vi.fn((_server: ServerName, userId: UserId) => answer(userId));

beforeEach(async () => {
  asked.mockClear();
  shares = true;
  clock = new ManualClock();
  storage = await openTestStorage(clock);
  resync = createDeviceListResync({
    storage,
    requests: { getUserDevices: asked },
    sharesRoom: () => shares,
    clock,
    random: unjitteredRandom,
    log: silentLog,
  });
  return async () => {
    await resync.stop();
    await storage.stop();
  };
});

const dead = async (): Promise<JsonObject> => {
  throw new FederationError('unreachable', 'nobody is there');
};
const listFor = (userId: UserId, more: JsonObject = {}): JsonObject => ({
  user_id: userId,
  stream_id: 7,
  devices: [{ device_id: phone, keys: deviceKeys(userId, phone) }],
  ...more,
});

/** The list of each is known to be old. */
async function makeStale(...userIds: UserId[]): Promise<void> {
  for (const userId of userIds) {
    const list = { userId, streamId: 5, masterKey: null, selfSigningKey: null, devices: [] };
    await storage.commit({ rows: [{ kind: 'remote_device_list', ...list, fetchedAtMs: clock.now() }] });
    const rows = [{ kind: 'remote_device_list_stale' as const, userId, failures: 0, retryAtMs: clock.now() }];
    await storage.commit({ rows });
  }
}

const isFresh = async (userId: UserId) => (await storage.deviceLists.listFreshLists([userId])).length === 1;

describe('a stale list of devices', () => {
  it('is asked for once, and holds when it came', async () => {
    answer = async (userId) => listFor(userId);
    await makeStale(mallory);
    for (let times = 0; times < 100; times += 1) resync.wake();
    await resync.idle();
    expect(asked.mock.calls).toEqual([['evil.test', mallory]]);
    const [list] = await storage.deviceLists.listFreshLists([mallory]);
    expect(list).toMatchObject({ streamId: 7, devices: [{ deviceId: phone, keys: deviceKeys(mallory, phone) }] });
    await clock.advance(100 * hourMs);
    expect(asked).toHaveBeenCalledTimes(1);
  });

  it('is asked for with longer and longer pauses while the server is dead, whatever wakes in between, and at last no more', async () => {
    answer = dead;
    const startMs = clock.now();
    const moments: number[] = [];
    asked.mockImplementation((_server, userId) => {
      moments.push(clock.now() - startMs);
      return answer(userId);
    });
    await makeStale(mallory);
    resync.wake();
    await clock.advance(4 * secondMs);
    for (let times = 0; times < 100; times += 1) {
      resync.wake();
      await resync.idle();
    }
    expect(moments).toEqual([0]);
    await clock.advance(60 * hourMs);
    const pauses = moments.slice(1).map((moment, index) => moment - (moments[index] ?? 0));
    expect(pauses[0]).toBeGreaterThanOrEqual(4 * secondMs);
    for (const [index, pause] of pauses.entries()) expect(pause).toBeGreaterThanOrEqual(pauses[index - 1] ?? 0);
    expect(Math.max(...pauses)).toBeLessThanOrEqual(hourMs + 600 * secondMs);
    expect(moments).toHaveLength(20);
    expect(await storage.deviceLists.findRemoteState(mallory)).toBeUndefined();
    expect(clock.pendingCount).toBe(0);
  });

  it('that could not be had at first is told to clients when it comes, for they could not have it either; any other was told before', async () => {
    const heardOf = (since: number) => storage.deviceLists.listChanged(alice, since, storage.position());
    answer = dead;
    await makeStale(mallory);
    resync.wake();
    await resync.idle();
    answer = async (userId) => listFor(userId);
    const since = storage.position();
    await clock.advance(hourMs);
    await resync.idle();
    expect(await isFresh(mallory)).toBe(true);
    expect(await heardOf(since)).toEqual([mallory]);
    await makeStale(mallory);
    const again = storage.position();
    resync.wake();
    await resync.idle();
    expect(await isFresh(mallory)).toBe(true);
    expect(await heardOf(again)).toEqual([]);
  });

  it('is asked for no more often, however long the server takes to answer', async () => {
    let give: (list: JsonObject) => void = () => {};
    answer = () =>
      new Promise((resolve) => {
        give = resolve;
      });
    await makeStale(mallory);
    for (let times = 0; times < 10; times += 1) {
      resync.wake();
      await clock.advance(hourMs);
    }
    expect(asked).toHaveBeenCalledTimes(1);
    give(listFor(mallory));
    await resync.idle();
    expect(await isFresh(mallory)).toBe(true);
  });

  it.each<[string, JsonObject]>([
    ['is of somebody else', listFor('@other:evil.test' as UserId)],
    ['names nobody', listFor(mallory, { user_id: undefined })],
    ['has no number', listFor(mallory, { stream_id: undefined })],
    ['has a negative number', listFor(mallory, { stream_id: -7 })],
    ['has a number that is not exact', listFor(mallory, { stream_id: 1e300 })],
    ['has no devices', listFor(mallory, { devices: undefined })],
    ['has devices that are no list', listFor(mallory, { devices: {} })],
  ])('is not taken from an answer that %s, and is asked for again after the pause', async (_what, lie) => {
    answer = async () => lie;
    await makeStale(mallory);
    resync.wake();
    await resync.idle();
    expect(await isFresh(mallory)).toBe(false);
    expect(await storage.deviceLists.findRemoteState(mallory)).toMatchObject({ state: 'stale', failures: 1 });
    answer = async (userId) => listFor(userId);
    await clock.advance(4 * secondMs);
    expect(asked).toHaveBeenCalledTimes(1);
    await clock.advance(10 * secondMs);
    expect(asked).toHaveBeenCalledTimes(2);
    expect(await isFresh(mallory)).toBe(true);
  });

  it('keeps a thousand devices of those that a server says there are', async () => {
    const devices = Array.from({ length: 5_000 }, (_, index) => ({ device_id: `D${index}` }));
    answer = async () => listFor(mallory, { devices: [{ device_id: 7 }, null, ...devices] });
    await makeStale(mallory);
    resync.wake();
    await resync.idle();
    const [list] = await storage.deviceLists.listFreshLists([mallory]);
    expect(list?.devices.length).toBeGreaterThan(0);
    expect(list?.devices.length).toBeLessThanOrEqual(1_000);
  });

  it('of one user does not keep those of others waiting for more than their turn: ten at once', async () => {
    let running = 0;
    let most = 0;
    const open: (() => void)[] = [];
    answer = (userId) => {
      running += 1;
      most = Math.max(most, running);
      return new Promise((resolve) =>
        open.push(() => {
          running -= 1;
          resolve(listFor(userId));
        }),
      );
    };
    const users = Array.from({ length: 25 }, (_, index) => `@user${index}:evil.test` as UserId);
    await makeStale(...users);
    resync.wake();
    for (let round = 0; round < 10; round += 1) {
      await clock.advance(0);
      for (const end of open.splice(0)) end();
    }
    await resync.idle();
    expect(most).toBe(10);
    expect(asked.mock.calls.map(([, userId]) => userId).sort()).toEqual([...users].sort());
  });

  it('is forgotten without a question where no room is shared any more', async () => {
    shares = false;
    await makeStale(mallory);
    resync.wake();
    await resync.idle();
    expect(asked).not.toHaveBeenCalled();
    expect(await storage.deviceLists.findRemoteState(mallory)).toBeUndefined();
  });

  it('that changes while the answer is on its way is asked for once more', async () => {
    answer = async (userId) => {
      answer = async () => listFor(userId, { stream_id: 9 });
      const told = { kind: 'device_list_change' as const, userId, viewer: null, told: 'always' as const };
      await storage.commit({ rows: [{ ...told, deviceIds: [phone], signingKeys: false }] });
      return listFor(userId);
    };
    await makeStale(mallory);
    resync.wake();
    await resync.idle();
    const [list] = await storage.deviceLists.listFreshLists([mallory]);
    expect([asked.mock.calls.length, list?.streamId]).toEqual([2, 9]);
  });
});

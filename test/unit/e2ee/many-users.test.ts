import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { breathe } from '../../../src/base/breathe.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { listOwnKeys } from '../../../src/e2ee/keys/user-keys.ts';
import type { DeviceId, UserId } from '../../../src/matrix/ids.ts';
import type { Row } from '../../../src/storage/contract/commit.ts';
import type { Storage } from '../../../src/storage/contract/storage.ts';
import { openSqliteStorage } from '../../../src/storage/sqlite/open.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const users = Array.from({ length: 450 }, (_, n) => `@user${n}:here` as UserId);
let storage: Storage;

beforeEach(async () => {
  storage = await openSqliteStorage({ file: ':memory:', clock: new ManualClock() });
  const rows = users.flatMap((userId): Row[] => [
    { kind: 'account', userId, passwordHash: null, createdAtMs: 0, deactivatedAtMs: null },
    {
      kind: 'device',
      userId,
      deviceId: 'PHONE' as DeviceId,
      displayName: null,
      createdAtMs: 0,
      lastSeenAtMs: null,
      lastSeenIp: null,
    },
    { kind: 'device_keys', userId, deviceId: 'PHONE' as DeviceId, keys: { user_id: userId } },
    {
      kind: 'cross_signing_key',
      userId,
      usage: 'master',
      publicKey: `master of ${userId}`,
      key: { keys: { 'ed25519:a': `master of ${userId}` } },
    },
  ]);
  await storage.commit({ rows });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await storage.stop();
});

describe('the keys of many users', () => {
  it('are all read, each with its own', async () => {
    const found = await listOwnKeys(storage, users, null);
    expect([...found.keys()]).toEqual(users);
    for (const userId of users) {
      expect(found.get(userId)?.devices.map(({ keys }) => keys?.user_id)).toEqual([userId]);
      expect(found.get(userId)?.masterKey?.keys).toEqual({ 'ed25519:a': `master of ${userId}` });
    }
  });

  it('are read a hundred users at a time, with turns for others between', async () => {
    let passedMs = 0;
    vi.spyOn(systemClock, 'monotonic').mockImplementation(() => {
      passedMs += 20;
      return passedMs;
    });
    let turns = 0;
    let isOver = false;
    const tick = (): void => {
      turns += 1;
      if (!isOver) setImmediate(tick);
    };
    setImmediate(tick);
    await breathe();
    await listOwnKeys(storage, users, null);
    isOver = true;
    expect(turns).toBeGreaterThanOrEqual(4);
  });
});

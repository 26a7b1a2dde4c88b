import { describe, expect, it } from 'vitest';
import { createDevices } from '../../../src/accounts/devices.ts';
import { silentLog } from '../../../src/base/log.ts';
import { Background } from '../../../src/base/tasks/background.ts';
import type { DeviceId, UserId } from '../../../src/matrix/ids.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { openTestStorage } from '../../support/storage.ts';

const deviceId = 'PHONE' as DeviceId;

async function setUp() {
  const clock = new ManualClock();
  const { accounts } = await openTestStorage(clock);
  const written: UserId[] = [];
  const background = new Background({ log: silentLog, tasksMax: Number.POSITIVE_INFINITY });
  const devices = createDevices({
    storage: {
      accounts: {
        ...accounts,
        async findDevice(userId) {
          return { userId, deviceId, displayName: null, createdAtMs: 0, lastSeenAtMs: null, lastSeenIp: null };
        },
      },
      async commit({ rows }) {
        for (const row of rows) if (row.kind === 'device') written.push(row.userId);
        return { outcome: 'committed', position: 1, positions: [] };
      },
    },
    inOrder: (_userId, task) => task(),
    background,
    clock,
  });
  return { clock, devices, background, written };
}

describe('when a device was last seen', () => {
  it('is written once in five minutes, however many devices come back in turns meanwhile', async () => {
    const { clock, devices, background, written } = await setUp();
    const users = Array.from({ length: 12_000 }, (_, n) => `@user${n}:a.test` as UserId);
    for (let round = 0; round < 3; round += 1) {
      for (const userId of users) devices.touch(userId, deviceId, '192.0.2.1');
      await background.idle();
      await clock.advance(30_000);
    }
    expect(written.length).toBe(users.length);
  });

  it('is written again when five minutes have passed', async () => {
    const { clock, devices, background, written } = await setUp();
    const userId = '@alice:a.test' as UserId;
    devices.touch(userId, deviceId, '192.0.2.1');
    await clock.advance(5 * 60_000);
    devices.touch(userId, deviceId, '192.0.2.1');
    await background.idle();
    expect(written).toEqual([userId, userId]);
  });
});

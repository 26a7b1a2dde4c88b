import type { Clock } from '../base/clock.ts';
import { RecentlyUsed } from '../base/recently-used.ts';
import type { Background } from '../base/tasks/background.ts';
import { MatrixError, notFound } from '../matrix/errors.ts';
import type { DeviceId, UserId } from '../matrix/ids.ts';
import type { AccountReads, DeviceRow } from '../storage/contract/accounts.ts';
import type { Row } from '../storage/contract/commit.ts';
import type { Storage } from '../storage/contract/storage.ts';
import type { InOrder } from './in-order.ts';

export interface Devices {
  list(userId: UserId): Promise<DeviceRow[]>;
  /** Throws M_NOT_FOUND. */
  get(userId: UserId, deviceId: DeviceId): Promise<DeviceRow>;
  /** Throws M_NOT_FOUND. */
  rename(userId: UserId, deviceId: DeviceId, displayName: string): Promise<void>;
  /**
   * Renames the device, or makes one without tokens: for who acts without them. A name that is not given leaves the one there is. Throws
   * M_RESOURCE_LIMIT_EXCEEDED for a device too many.
   */
  put(userId: UserId, deviceId: DeviceId, displayName: string | undefined): Promise<'known' | 'made'>;
  /** Removes these devices with their tokens; those that are gone already are no error. */
  remove(userId: UserId, deviceIds: readonly DeviceId[]): Promise<void>;
  /** Removes every device but one, or every one. */
  removeAll(userId: UserId, except: DeviceId | null): Promise<void>;
  /**
   * The device made a request. Written down at most once every five minutes per device, behind the caller's back; a process
   * that is killed forgets at most that much.
   */
  touch(userId: UserId, deviceId: DeviceId, ip: string): void;
}

const touchEveryMs = 5 * 60_000;
/** Devices that were written a moment ago; of one that was forgotten it is read and written at its next request. */
const touchedMax = 50_000;

export function createDevices(deps: {
  storage: { accounts: AccountReads; commit: Storage['commit'] };
  inOrder: InOrder;
  background: Background;
  clock: Clock;
}): Devices {
  const { storage } = deps;
  const touchedAtMs = new RecentlyUsed<string, number>({ max: touchedMax });

  async function get(userId: UserId, deviceId: DeviceId): Promise<DeviceRow> {
    const device = await storage.accounts.findDevice(userId, deviceId);
    if (!device) throw notFound('The user has no such device');
    return device;
  }

  async function change(userId: UserId, deviceId: DeviceId, fields: Partial<DeviceRow>): Promise<void> {
    await deps.inOrder(userId, async () => {
      const device = await get(userId, deviceId);
      const further = fields.displayName === undefined ? [] : [deviceChanged(userId, deviceId)];
      await storage.commit({ rows: [{ kind: 'device', ...device, ...fields }, ...further] });
    });
  }

  return {
    list: (userId) => storage.accounts.listDevices(userId),
    get,
    rename: (userId, deviceId, displayName) => change(userId, deviceId, { displayName }),

    put(userId, deviceId, displayName) {
      return deps.inOrder(userId, async () => {
        const known = await storage.accounts.findDevice(userId, deviceId);
        if (known && displayName === undefined) return 'known';
        const rows: Row[] = known
          ? [{ kind: 'device', ...known, displayName: displayName ?? null }, deviceChanged(userId, deviceId)]
          : await rowsForNewDevice({ accounts: storage.accounts, clock: deps.clock }, userId, {
              deviceId,
              displayName: displayName ?? null,
            });
        await storage.commit({ rows });
        return known ? 'known' : 'made';
      });
    },

    remove(userId, deviceIds) {
      return deps.inOrder(userId, async () => {
        const known = new Set((await storage.accounts.listDevices(userId)).map((device) => device.deviceId));
        const rows = [...new Set(deviceIds)].filter((deviceId) => known.has(deviceId)).map(removed(userId));
        if (rows.length > 0) await storage.commit({ rows });
      });
    },

    removeAll(userId, except) {
      return deps.inOrder(userId, async () => {
        const rows = await rowsToRemoveDevices(storage.accounts, userId, except);
        if (rows.length > 0) await storage.commit({ rows });
      });
    },

    touch(userId, deviceId, ip) {
      const key = `${userId} ${deviceId}`;
      const now = deps.clock.monotonic();
      const last = touchedAtMs.get(key);
      if (last !== undefined && now - last < touchEveryMs) return;
      touchedAtMs.set(key, now);
      deps.background.run('device last seen', async () => {
        try {
          await change(userId, deviceId, { lastSeenAtMs: deps.clock.now(), lastSeenIp: ip });
        } catch (error) {
          // Its last request may have been its logout.
          if (!(error instanceof MatrixError)) throw error;
        }
      });
    },
  };
}

const removed =
  (userId: UserId) =>
  (deviceId: DeviceId): Row => ({ kind: 'device_removed', userId, deviceId });

/** A further device of one user is refused. */
const devicesMax = 1_000;

/** Rows that make a device that is not there. Throws M_RESOURCE_LIMIT_EXCEEDED. */
export async function rowsForNewDevice(
  deps: { accounts: AccountReads; clock: Clock },
  userId: UserId,
  { deviceId, displayName }: Pick<DeviceRow, 'deviceId' | 'displayName'>,
): Promise<Row[]> {
  if ((await deps.accounts.listDevices(userId)).length >= devicesMax) {
    throw new MatrixError(403, 'M_RESOURCE_LIMIT_EXCEEDED', `There are ${devicesMax} devices already`);
  }
  const seen = { lastSeenAtMs: null, lastSeenIp: null };
  return [
    { kind: 'device', userId, deviceId, displayName, createdAtMs: deps.clock.now(), ...seen },
    deviceChanged(userId, deviceId),
  ];
}

/** Who else keeps a list of the user's devices is to hear of it: users here where the device has keys, other servers always. */
function deviceChanged(userId: UserId, deviceId: DeviceId): Row {
  const told = 'if_keys';
  return { kind: 'device_list_change', userId, viewer: null, told, deviceIds: [deviceId], signingKeys: false };
}

/** Rows that remove every device of the user but one. */
export async function rowsToRemoveDevices(
  accounts: AccountReads,
  userId: UserId,
  except: DeviceId | null,
): Promise<Row[]> {
  const devices = await accounts.listDevices(userId);
  return devices
    .map((device) => device.deviceId)
    .filter((id) => id !== except)
    .map(removed(userId));
}

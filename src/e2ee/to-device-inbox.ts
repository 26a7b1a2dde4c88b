import { RecentlyUsed } from '../base/recently-used.ts';
import type { Change } from '../storage/contract/changes.ts';
import type { Position } from '../storage/contract/numbers.ts';
import type { Storage } from '../storage/contract/storage.ts';
import type { DeviceName } from '../storage/contract/to-device.ts';

/** Devices whose inbox is known to be empty; one that was forgotten costs a query. */
const emptyMax = 50_000;

export interface ToDeviceInbox {
  /** The device has all up to there, and gets none of it again. Undefined where nothing waits. */
  collect(device: DeviceName, upTo: Position): Promise<void> | undefined;
  /** The oldest messages with after < position ≤ upTo, where those up to `after` are collected; JSON texts. */
  list(
    device: DeviceName,
    range: { readonly after: Position; readonly upTo: Position; readonly limit: number },
  ): Promise<{ position: Position; text: string }[]>;
  /** For the feed, before all that wakes readers. */
  onChanges(changes: readonly Change[]): void;
}

/** What waits for devices. Most of the time nothing does, and a poll must not ask the database to learn that. */
export function createToDeviceInbox(deps: { storage: Pick<Storage, 'toDevice' | 'commit'> }): ToDeviceInbox {
  const { storage } = deps;
  const empty = new RecentlyUsed<string, true>({ max: emptyMax });
  /** Being looked into: what comes meanwhile says that they are not empty. */
  const looking = new Map<string, Set<{ news: boolean }>>();

  const look = async <T>(device: DeviceName, read: () => Promise<T[]>): Promise<{ found: T[]; isEmpty: boolean }> => {
    const key = keyOf(device);
    const one = { news: false };
    const lookers = looking.get(key) ?? new Set();
    looking.set(key, lookers.add(one));
    try {
      const found = await read();
      return { found, isEmpty: found.length === 0 && !one.news };
    } finally {
      lookers.delete(one);
      if (lookers.size === 0) looking.delete(key);
    }
  };

  const remove = async (device: DeviceName, upTo: Position): Promise<void> => {
    const waiting = await storage.toDevice.listMessages(device, { after: 0, upTo, limit: 1 });
    if (waiting.length > 0) await storage.commit({ rows: [{ kind: 'to_device_collected', ...device, upTo }] });
  };

  return {
    collect: (device, upTo) => (empty.has(keyOf(device)) ? undefined : remove(device, upTo)),
    async list(device, range) {
      if (empty.has(keyOf(device))) return [];
      // Also behind the end of the range: what came since does not make the inbox an empty one.
      const whole = { ...range, upTo: Number.MAX_SAFE_INTEGER };
      const { found, isEmpty } = await look(device, () => storage.toDevice.listMessages(device, whole));
      if (isEmpty) empty.set(keyOf(device), true);
      return found.filter(({ position }) => position <= range.upTo);
    },
    onChanges(changes) {
      for (const change of changes) {
        if (change.kind !== 'to_device') continue;
        for (const device of change.devices) {
          empty.delete(keyOf(device));
          for (const one of looking.get(keyOf(device)) ?? []) one.news = true;
        }
      }
    },
  };
}

function keyOf({ userId, deviceId }: DeviceName): string {
  return `${userId} ${deviceId}`;
}

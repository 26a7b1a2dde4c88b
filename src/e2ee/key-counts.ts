import { RecentlyUsed } from '../base/recently-used.ts';
import type { Change } from '../storage/contract/changes.ts';
import type { Position } from '../storage/contract/numbers.ts';
import type { Storage } from '../storage/contract/storage.ts';
import { type KeyOwner, withDefault } from './keys/device-keys.ts';

/** What is left of a device's keys, for every `/sync`: it must not ask the database to say the same again. */
export interface KeyCounts {
  /** Members of the response (client-server API, "Extensions to /sync"): JSON text, without braces. No promise where it is known. */
  textOf(device: KeyOwner): string | Promise<string>;
  /** Whether something changed with after < position ≤ upTo. Of what is long ago it is not known: the next answer, whatever for, tells the numbers. */
  mayHaveChanged(device: KeyOwner, after: Position, upTo: Position): boolean;
  /** For the feed, before all that wakes readers. */
  onChanges(changes: readonly Change[]): void;
}

/** Devices that are remembered; one that was forgotten costs two queries. */
const devicesMax = 50_000;

export function createKeyCounts({ storage }: { storage: Pick<Storage, 'oneTimeKeys'> }): KeyCounts {
  const texts = new RecentlyUsed<string, string>({ max: devicesMax });
  const changedAt = new RecentlyUsed<string, Position>({ max: devicesMax });
  let changes = 0;

  async function read(device: KeyOwner): Promise<string> {
    const changesBefore = changes;
    const { oneTimeKeys, unusedFallbackTypes } = await storage.oneTimeKeys.countKeys(device.userId, device.deviceId);
    const text =
      `"device_one_time_keys_count":${JSON.stringify(withDefault(oneTimeKeys))},` +
      `"device_unused_fallback_key_types":${JSON.stringify(unusedFallbackTypes)}`;
    // What was read may be older than a change meanwhile.
    if (changes === changesBefore) texts.set(keyOf(device), text);
    return text;
  }

  return {
    textOf: (device) => texts.get(keyOf(device)) ?? read(device),
    mayHaveChanged(device, after, upTo) {
      const position = changedAt.get(keyOf(device));
      return position !== undefined && position > after && position <= upTo;
    },
    onChanges(told) {
      for (const change of told) {
        if (change.kind !== 'key_counts' && change.kind !== 'device_removed') continue;
        changes += 1;
        texts.delete(keyOf(change));
        if (change.kind === 'key_counts') changedAt.set(keyOf(change), change.position);
      }
    },
  };
}

function keyOf({ userId, deviceId }: KeyOwner): string {
  return `${userId} ${deviceId}`;
}

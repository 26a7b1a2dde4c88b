import { RecentlyUsed } from '../base/recently-used.ts';
import type { SyncFilter } from '../matrix/filter.ts';
import type { DeviceId, UserId } from '../matrix/ids.ts';
import type { Position } from '../storage/contract/numbers.ts';

/** Devices that are remembered; one that was forgotten costs a longer reading. */
const devicesMax = 50_000;

interface QuietStretch {
  readonly since: string;
  /** What is nothing to one filter may be something to another. */
  readonly filter: SyncFilter;
  readonly upTo: Position;
}

/**
 * How far behind its token a device's client is known to have missed nothing. An answer with nothing in it returns the
 * token it was given, so that a quiet client on a busy server would have all that happened since read again at each poll.
 */
export class QuietMemory {
  readonly #devices = new RecentlyUsed<string, QuietStretch>({ max: devicesMax });

  /** Where the reading for this token may begin. */
  find(userId: UserId, deviceId: DeviceId, asked: { since: string; filter: SyncFilter }): Position | undefined {
    const known = this.#devices.get(keyOf(userId, deviceId));
    return known?.since === asked.since && known.filter === asked.filter ? known.upTo : undefined;
  }

  put(userId: UserId, deviceId: DeviceId, stretch: QuietStretch): void {
    this.#devices.set(keyOf(userId, deviceId), stretch);
  }
}

function keyOf(userId: UserId, deviceId: DeviceId): string {
  return `${userId} ${deviceId}`;
}

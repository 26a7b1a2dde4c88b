import type { DeviceId, UserId } from '../matrix/ids.ts';
import type { Change } from '../storage/contract/changes.ts';
import type { TokenOwner } from './tokens.ts';

/** Tells requests that take long of the end of the device that made them. */
export interface SignOuts {
  /** Calls `onEnd` once, when the device is signed out. It must be cheap and must not throw. Returns the end of the watch. */
  watch(owner: TokenOwner, onEnd: () => void): () => void;
  /** A wake: told of every commit before the committing call resolves. */
  onChanges(changes: readonly Change[]): void;
}

interface Watch {
  readonly deviceId: DeviceId;
  readonly onEnd: () => void;
}

export function createSignOuts(): SignOuts {
  const byUser = new Map<UserId, Set<Watch>>();

  function end(userId: UserId, deviceId: DeviceId | null): void {
    for (const watch of [...(byUser.get(userId) ?? [])]) {
      if (deviceId !== null && watch.deviceId !== deviceId) continue;
      remove(userId, watch);
      watch.onEnd();
    }
  }

  function remove(userId: UserId, watch: Watch): void {
    const watches = byUser.get(userId);
    watches?.delete(watch);
    if (watches?.size === 0) byUser.delete(userId);
  }

  return {
    watch({ userId, deviceId }, onEnd) {
      const watch: Watch = { deviceId, onEnd };
      const watches = byUser.get(userId);
      if (watches) watches.add(watch);
      else byUser.set(userId, new Set([watch]));
      return () => remove(userId, watch);
    },

    onChanges(changes) {
      for (const change of changes) {
        if (change.kind === 'account_deactivated') end(change.userId, null);
        // A device that signs in anew loses its tokens: what the older ones asked for is over.
        else if (change.kind === 'device_removed' || change.kind === 'access_tokens_removed')
          end(change.userId, change.deviceId);
      }
    },
  };
}

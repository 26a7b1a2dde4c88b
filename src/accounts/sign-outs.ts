import { ManyByKey } from '../base/many-by-key.ts';
import type { DeviceId, UserId } from '../matrix/ids.ts';
import type { Change } from '../storage/contract/changes.ts';

/** A request of a device that takes long. */
export interface SignOutWatcher {
  readonly userId: UserId;
  readonly deviceId: DeviceId;
  /** Called once, when the device is signed out. It must be cheap and must not throw. */
  signedOut(): void;
}

/** Tells requests that take long of the end of the device that made them. */
export interface SignOuts {
  watch(watcher: SignOutWatcher): void;
  /** Harmless for one that was told. */
  unwatch(watcher: SignOutWatcher): void;
  /** A wake: told of every commit before the committing call resolves. */
  onChanges(changes: readonly Change[]): void;
}

export function createSignOuts(): SignOuts {
  const watchers = new ManyByKey<UserId, SignOutWatcher>();

  function end(userId: UserId, deviceId: DeviceId | null): void {
    for (const watcher of watchers.list(userId)) {
      if (deviceId !== null && watcher.deviceId !== deviceId) continue;
      watchers.delete(userId, watcher);
      watcher.signedOut();
    }
  }

  return {
    watch: (watcher) => void watchers.add(watcher.userId, watcher),
    unwatch: (watcher) => void watchers.delete(watcher.userId, watcher),

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

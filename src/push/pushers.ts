import type { Clock } from '../base/clock.ts';
import { MatrixError } from '../matrix/errors.ts';
import type { DeviceId, UserId } from '../matrix/ids.ts';
import type { PusherRow, PushReads } from '../storage/contract/push.ts';
import type { Storage } from '../storage/contract/storage.ts';

/** A pusher as the client describes it. */
export type PusherWish = Omit<PusherRow, 'userId' | 'deviceId' | 'createdAtMs'>;

/** Where the devices of users want to be notified (client-server API, "Push Notifications"). */
export interface Pushers {
  list(userId: UserId): Promise<PusherRow[]>;
  /**
   * Sets the user's pusher with this application and key. Unless `append`, the key is taken from everybody else who had it: the
   * same device with another user. Throws M_RESOURCE_LIMIT_EXCEEDED for a pusher too many.
   */
  set(owner: { userId: UserId; deviceId: DeviceId }, wish: PusherWish, append: boolean): Promise<void>;
  /** One that is not there is no error. */
  remove(userId: UserId, appId: string, pushkey: string): Promise<void>;
}

const pushersMax = 100;

export function createPushers(deps: {
  storage: { readonly push: PushReads; readonly commit: Storage['commit'] };
  clock: Clock;
}): Pushers {
  const { storage } = deps;
  return {
    list: (userId) => storage.push.listPushers(userId),

    async set({ userId, deviceId }, wish, append) {
      const { appId, pushkey } = wish;
      const others = (await storage.push.listPushers(userId)).filter(
        (pusher) => pusher.appId !== appId || pusher.pushkey !== pushkey,
      );
      if (others.length >= pushersMax) {
        throw new MatrixError(403, 'M_RESOURCE_LIMIT_EXCEEDED', `There are ${pushersMax} pushers already`);
      }
      const pusher: PusherRow = { ...wish, userId, deviceId, createdAtMs: deps.clock.now() };
      await storage.commit({
        rows: [
          { kind: 'pusher', pusher },
          ...(append ? [] : [{ kind: 'pushers_of_others_removed' as const, userId, appId, pushkey }]),
        ],
      });
    },

    async remove(userId, appId, pushkey) {
      await storage.commit({ rows: [{ kind: 'pusher_removed', userId, appId, pushkey }] });
    },
  };
}

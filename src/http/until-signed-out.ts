import type { Ending } from '../base/tasks/ending.ts';
import type { DeviceId, UserId } from '../matrix/ids.ts';
import type { DeviceRequester } from './route.ts';

/** Tells calls that take long of the end of the device that made them. */
export interface SignOutWatches {
  /** `signedOut` is called once, when the device is signed out. */
  watch(call: WatchedCall): void;
  /** At the end of the call, signed out or not. */
  unwatch(call: WatchedCall): void;
}

/** One call of a route that waits: it ends with its device. */
export class WatchedCall {
  readonly userId: UserId;
  readonly deviceId: DeviceId;
  readonly #ending: Ending;
  #isSignedOut = false;

  constructor({ userId, deviceId }: DeviceRequester, ending: Ending) {
    this.userId = userId;
    this.deviceId = deviceId;
    this.#ending = ending;
  }

  get isSignedOut(): boolean {
    return this.#isSignedOut;
  }

  signedOut(): void {
    this.#isSignedOut = true;
    this.#ending.abort();
  }
}

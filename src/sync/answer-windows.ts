import type { Clock } from '../base/clock.ts';
import type { LoopShare } from '../base/loop-share.ts';
import { RecentlyUsed } from '../base/recently-used.ts';
import type { DeviceId, UserId } from '../matrix/ids.ts';

export interface WindowLengths {
  /** After an answer with something in it, the device's next such answer comes no sooner. Zero: at once. */
  readonly quietMs: number;
  /** The same while more than `busyFromPerSecond` answers a second are given out; up to twice as much while the process has hardly time for them. */
  readonly busyMs: number;
}

const busyFromPerSecond = 1_000;
/** Longer windows make fewer answers of the same changes, so they grow while the loop works more than the one share of its time, and shrink below the other. */
const growFromShare = 0.6;
const shrinkBelowShare = 0.4;
const growth = 1.25;
const busyTimesMax = 2;
/** Devices that are remembered; one that was forgotten is answered at once. */
const devicesMax = 50_000;

/**
 * Gathers what comes up shortly after one another into one answer. A device that was not answered in the last moments is answered at once; the
 * next answer waits for the end of the device's window, and so does a long-poll that already has something to tell. Who waits, and until when at most, is
 * the business of `/sync` and its waiters.
 */
export class AnswerWindows {
  readonly #clock: Clock;
  readonly #lengths: WindowLengths;
  readonly #answeredAtMs = new RecentlyUsed<string, number>({ max: devicesMax });
  #second = Number.NEGATIVE_INFINITY;
  #answers = 0;
  #answersBefore = 0;
  readonly #loopShare: LoopShare;
  #busyTimes = 1;

  constructor(deps: { clock: Clock; lengths: WindowLengths; loopShare: LoopShare }) {
    this.#clock = deps.clock;
    this.#lengths = deps.lengths;
    this.#loopShare = deps.loopShare;
  }

  /** So much is told that there is something at the end of nearly every window: whoever comes in one may as well wait without a look. */
  get isBusy(): boolean {
    return Math.max(this.#answers, this.#answersBefore) >= busyFromPerSecond;
  }

  /** The device was told something just now. */
  answered(userId: UserId, deviceId: DeviceId): void {
    const nowMs = this.#clock.monotonic();
    this.#count(nowMs);
    if (this.#lengths.quietMs > 0) this.#answeredAtMs.set(keyOf(userId, deviceId), nowMs);
  }

  /** The end of the device's window, by the monotonic clock; undefined where none is open. */
  opensAtMs(userId: UserId, deviceId: DeviceId): number | undefined {
    const answeredAtMs = this.#answeredAtMs.get(keyOf(userId, deviceId));
    if (answeredAtMs === undefined) return undefined;
    const endsAtMs = answeredAtMs + (this.isBusy ? this.#busyTimes * this.#lengths.busyMs : this.#lengths.quietMs);
    return endsAtMs <= this.#clock.monotonic() ? undefined : endsAtMs;
  }

  #count(nowMs: number): void {
    const second = Math.floor(nowMs / 1_000);
    if (second !== this.#second) {
      this.#answersBefore = second === this.#second + 1 ? this.#answers : 0;
      this.#answers = 0;
      this.#second = second;
      this.#adapt(this.#loopShare());
    }
    this.#answers += 1;
  }

  #adapt(share: number): void {
    if (share > growFromShare) this.#busyTimes = Math.min(busyTimesMax, this.#busyTimes * growth);
    else if (share < shrinkBelowShare) this.#busyTimes = Math.max(1, this.#busyTimes / growth);
  }
}

function keyOf(userId: UserId, deviceId: DeviceId): string {
  return `${userId} ${deviceId}`;
}

import { LRUCache } from 'lru-cache';
import type { Clock, Timer } from '../base/clock.ts';
import type { DeviceId, UserId } from '../matrix/ids.ts';

export interface WindowLengths {
  /** After an answer with something in it, the device's next such answer comes no sooner. Zero: at once. */
  readonly quietMs: number;
  /** The same while more than `busyFromPerSecond` answers a second are given out. */
  readonly busyMs: number;
}

const busyFromPerSecond = 1_000;
/** Devices that are remembered; one that was forgotten is answered at once. */
const devicesMax = 20_000;
/** Windows end at the marks of this ruler, so that many devices share one timer and one position. */
const slotMs = 10;

/** All whose window ends at one moment. */
interface Slot {
  readonly promise: Promise<void>;
  readonly open: () => void;
  readonly timer: Timer;
}

/**
 * Gathers what comes up shortly after one another into one answer. A device that was not answered in the last moments is answered at once; the
 * next answer waits for the end of the device's window, and so does a long-poll that already has something to tell. Whoever asks with
 * `timeout=0` never waits.
 */
export class AnswerWindows {
  readonly #clock: Clock;
  readonly #lengths: WindowLengths;
  readonly #answeredAtMs = new LRUCache<string, number>({ max: devicesMax });
  readonly #slots = new Map<number, Slot>();
  #second = Number.NEGATIVE_INFINITY;
  #answers = 0;
  #answersBefore = 0;
  #stopped = false;

  constructor(deps: { clock: Clock; lengths: WindowLengths }) {
    this.#clock = deps.clock;
    this.#lengths = deps.lengths;
  }

  /** The device was told something just now. */
  answered(userId: UserId, deviceId: DeviceId): void {
    const nowMs = this.#clock.monotonic();
    this.#count(nowMs);
    if (this.#lengths.quietMs > 0) this.#answeredAtMs.set(keyOf(userId, deviceId), nowMs);
  }

  /** The end of the device's window; undefined where none is open. The promise is shared and resolves at the stop too. */
  untilOpen(userId: UserId, deviceId: DeviceId): Promise<void> | undefined {
    const answeredAtMs = this.#answeredAtMs.get(keyOf(userId, deviceId));
    if (answeredAtMs === undefined || this.#stopped) return undefined;
    const endsAtMs = answeredAtMs + (this.#isBusy() ? this.#lengths.busyMs : this.#lengths.quietMs);
    if (endsAtMs <= this.#clock.monotonic()) return undefined;
    return this.#slotAt(Math.ceil(endsAtMs / slotMs) * slotMs).promise;
  }

  /** Opens all windows, for good. */
  stop(): void {
    this.#stopped = true;
    for (const slot of this.#slots.values()) {
      slot.timer.clear();
      slot.open();
    }
    this.#slots.clear();
  }

  #slotAt(atMs: number): Slot {
    const known = this.#slots.get(atMs);
    if (known) return known;
    let open = (): void => {};
    const promise = new Promise<void>((resolve) => {
      open = resolve;
    });
    const timer = this.#clock.setTimer(atMs - this.#clock.monotonic(), () => {
      this.#slots.delete(atMs);
      open();
    });
    const slot = { promise, open, timer };
    this.#slots.set(atMs, slot);
    return slot;
  }

  #count(nowMs: number): void {
    const second = Math.floor(nowMs / 1_000);
    if (second !== this.#second) {
      this.#answersBefore = second === this.#second + 1 ? this.#answers : 0;
      this.#answers = 0;
      this.#second = second;
    }
    this.#answers += 1;
  }

  #isBusy(): boolean {
    return Math.max(this.#answers, this.#answersBefore) >= busyFromPerSecond;
  }
}

function keyOf(userId: UserId, deviceId: DeviceId): string {
  return `${userId} ${deviceId}`;
}

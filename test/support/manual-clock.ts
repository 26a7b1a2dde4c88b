import type { Clock, Timer } from '../../src/base/clock.ts';

interface Pending {
  dueMs: number;
  order: number;
  callback: () => void;
}

/** Rounds of the event loop that follow each firing: enough for a commit and what its reader commits in turn. */
const settleRounds = 8;

/** Lets promises, immediates and finished I/O run until what one step caused had its chance to happen. */
export async function settle(rounds: number = settleRounds): Promise<void> {
  for (let round = 0; round < rounds; round += 1) {
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

/** Time that stands still until a test moves it. */
export class ManualClock implements Clock {
  #nowMs: number;
  #elapsedMs = 0;
  #order = 0;
  readonly #pending = new Set<Pending>();
  readonly #onTimer = new Set<() => void>();

  constructor(startMs = 1_700_000_000_000) {
    this.#nowMs = startMs;
  }

  now(): number {
    return this.#nowMs;
  }

  monotonic(): number {
    return this.#elapsedMs;
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    this.#order += 1;
    const pending: Pending = { dueMs: this.#elapsedMs + Math.max(0, delayMs), order: this.#order, callback };
    this.#pending.add(pending);
    for (const look of this.#onTimer) look();
    return { clear: () => void this.#pending.delete(pending) };
  }

  /** How many timers wait; for tests that nothing was left behind. */
  get pendingCount(): number {
    return this.#pending.size;
  }

  /** Resolves as soon as a timer waits that falls due in exactly so long: whoever sets it has come to where it waits. */
  untilTimerIn(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (![...this.#pending].some(({ dueMs }) => dueMs === this.#elapsedMs + delayMs)) return;
        this.#onTimer.delete(look);
        resolve();
      };
      this.#onTimer.add(look);
      look();
    });
  }

  /** Moves the hour alone, as setting the machine's clock does: no timer fires. */
  step(ms: number): void {
    this.#nowMs += ms;
  }

  /**
   * Moves time on. Timers that fall due fire in order of their time (those set meanwhile too), each at its own
   * moment; promises and immediates settle between them and after the last.
   */
  async advance(ms: number): Promise<void> {
    await settle();
    const endMs = this.#elapsedMs + ms;
    for (let next = this.#nextDue(endMs); next !== undefined; next = this.#nextDue(endMs)) {
      this.#pending.delete(next);
      this.#moveTo(next.dueMs);
      next.callback();
      await settle();
    }
    this.#moveTo(endMs);
    await settle();
  }

  #moveTo(elapsedMs: number): void {
    const stepMs = Math.max(0, elapsedMs - this.#elapsedMs);
    this.#elapsedMs += stepMs;
    this.#nowMs += stepMs;
  }

  #nextDue(endMs: number): Pending | undefined {
    let first: Pending | undefined;
    for (const pending of this.#pending) {
      if (pending.dueMs > endMs) continue;
      if (
        first === undefined ||
        pending.dueMs < first.dueMs ||
        (pending.dueMs === first.dueMs && pending.order < first.order)
      ) {
        first = pending;
      }
    }
    return first;
  }
}

import type { Clock } from '../../../base/clock.ts';

/** How long the storage may keep one turn of the event loop before others get theirs. */
const turnBudgetMs = 10;

/**
 * The one place where storage gives way. SQLite answers synchronously, so that awaiting it yields nothing: a call made
 * when the turn of the event loop has lasted 10 ms waits for the next turn.
 */
export class Turn {
  readonly #clock: Clock;
  #startedAtMs: number | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Runs a synchronous read, in this turn or, when it is spent, in a later one. */
  async read<T>(read: () => T): Promise<T> {
    while (this.isSpent()) await nextTurn();
    return read();
  }

  /** For loops inside a read. */
  async giveWay(): Promise<void> {
    while (this.isSpent()) await nextTurn();
  }

  isSpent(): boolean {
    const nowMs = this.#clock.monotonic();
    if (this.#startedAtMs === undefined) {
      this.#startedAtMs = nowMs;
      setImmediate(() => {
        this.#startedAtMs = undefined;
      });
      return false;
    }
    return nowMs - this.#startedAtMs >= turnBudgetMs;
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

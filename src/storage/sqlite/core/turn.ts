import type { Clock } from '../../../base/clock.ts';
import { TurnBudget } from '../../../base/turn-budget.ts';

/** How long the storage may keep one turn of the event loop before others get theirs. */
const turnBudgetMs = 10;

/**
 * The one place where storage gives way. SQLite answers synchronously, so that awaiting it yields nothing: a call made
 * when the turn of the event loop has lasted 10 ms waits for the next turn.
 */
export class Turn {
  readonly #budget: TurnBudget;

  constructor(clock: Clock) {
    this.#budget = new TurnBudget(clock, turnBudgetMs);
  }

  /** Runs a synchronous read, in this turn or, when it is spent, in a later one. */
  async read<T>(read: () => T): Promise<T> {
    if (this.#budget.isSpent()) await this.#budget.giveWay();
    return read();
  }

  /** For loops inside a read. */
  async giveWay(): Promise<void> {
    if (this.#budget.isSpent()) await this.#budget.giveWay();
  }

  isSpent(): boolean {
    return this.#budget.isSpent();
  }
}

import type { TurnBudget } from '../../../base/turn-budget.ts';

/**
 * The one place where storage gives way. SQLite answers synchronously, so that awaiting it yields nothing: a call made
 * when the turn of the event loop is spent waits for the next one.
 */
export class Turn {
  readonly #budget: TurnBudget;

  constructor(budget: TurnBudget) {
    this.#budget = budget;
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

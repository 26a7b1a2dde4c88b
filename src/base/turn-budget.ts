import type { Clock } from './clock.ts';

/** How long a turn may be kept, in the server. */
export const turnBudgetMs = 10;

/**
 * How long one turn of the event loop may be kept. Who finds it spent gives way; of those who wait as many go on in a turn as it has time
 * for, in the order in which they came, so that one who gives way again and again keeps nobody from a turn.
 */
export class TurnBudget {
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #budgetMs: number;
  /** As many as there are immediates under way that will serve them. */
  readonly #waiting: (() => void)[] = [];
  #startedAtMs: number | undefined;

  constructor(clock: Pick<Clock, 'monotonic'>, budgetMs: number) {
    this.#clock = clock;
    this.#budgetMs = budgetMs;
  }

  /** Counted from the first question in a turn. */
  isSpent(): boolean {
    const nowMs = this.#clock.monotonic();
    if (this.#startedAtMs === undefined) {
      this.#startedAtMs = nowMs;
      setImmediate(this.#end);
      return false;
    }
    return nowMs - this.#startedAtMs >= this.#budgetMs;
  }

  /** Resolves in a later turn that has time left. */
  giveWay(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      setImmediate(this.#serve);
    });
  }

  readonly #end = (): void => {
    this.#startedAtMs = undefined;
  };

  readonly #serve = (): void => {
    if (this.isSpent()) setImmediate(this.#serve);
    else this.#waiting.shift()?.();
  };
}

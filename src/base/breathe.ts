import { systemClock } from './clock.ts';
import { TurnBudget } from './turn-budget.ts';

const turn = new TurnBudget(systemClock, 10);
const done = Promise.resolve();

/**
 * Lets others run when this turn of the event loop has lasted 10 ms since the first call in it; else costs next to nothing. Every
 * loop over more than a hundred items awaits it. Looks at the machine's own clock: what counts is the loop's real delay.
 */
export function breathe(): Promise<void> {
  return turn.isSpent() ? turn.giveWay() : done;
}

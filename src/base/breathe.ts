import { systemClock } from './clock.ts';
import { TurnBudget, turnBudgetMs } from './turn-budget.ts';

/**
 * Of this process's event loop, by the machine's own clock: what counts is the loop's real delay. One for all who work in it; with a budget each,
 * a turn would last as long as all of them together.
 */
export const loopTurn = new TurnBudget(systemClock, turnBudgetMs);
const done = Promise.resolve();

/**
 * Lets others run when this turn of the event loop has lasted 10 ms since the first who asked in it; else costs next to nothing. Every
 * loop over more than a hundred items awaits it.
 */
export function breathe(): Promise<void> {
  return loopTurn.isSpent() ? loopTurn.giveWay() : done;
}

/** What a loop does between two looks at the clock, where an item costs about a microsecond. */
const itemsPerLook = 250;

/** `items.filter(isWanted)` for lists that may be long. */
export async function filterInTurns<Item>(items: readonly Item[], isWanted: (item: Item) => boolean): Promise<Item[]> {
  if (items.length <= itemsPerLook) return items.filter(isWanted);
  const wanted: Item[] = [];
  for (let start = 0; start < items.length; start += itemsPerLook) {
    for (const item of items.slice(start, start + itemsPerLook)) if (isWanted(item)) wanted.push(item);
    await breathe();
  }
  return wanted;
}

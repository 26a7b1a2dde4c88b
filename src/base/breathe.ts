import { systemClock } from './clock.ts';

const budgetMs = 10;
const done = Promise.resolve();

let turnStartedAt: number | undefined;

function endTurn(): void {
  turnStartedAt = undefined;
}

/**
 * Lets others run when this turn of the event loop has lasted 10 ms since the first call in it; else costs next to nothing. Every
 * loop over more than a hundred items awaits it. Looks at the machine's own clock: what counts is the loop's real delay.
 */
export function breathe(): Promise<void> {
  const now = systemClock.monotonic();
  if (turnStartedAt === undefined) {
    turnStartedAt = now;
    setImmediate(endTurn);
    return done;
  }
  if (now - turnStartedAt < budgetMs) return done;
  return new Promise((resolve) => setImmediate(resolve));
}

import { type LoopTurn, textOfTurn } from '../../support/loop-turns.ts';
import type { Measure } from '../../support/report.ts';
import type { ServerProcess } from '../../support/server-process.ts';

export const longestTurnMaxMs = 50;

export interface LongestOptions {
  /** The first of several warms up; the figure is the worst of the others. */
  readonly runs?: number;
  /** What follows in the background for so long counts, too. */
  readonly afterwardsMs?: number;
}

/** Asks one thing after the other and notes the longest turn of the server's loop meanwhile. */
export class LongestTurns {
  readonly measures: Measure[] = [];
  readonly #server: ServerProcess;
  /** The only question that is asked, counted from 1; all where undefined. */
  readonly #only: number | undefined;
  #asked = 0;

  constructor(server: ServerProcess, only?: number) {
    this.#server = server;
    this.#only = only;
  }

  async during(name: string, ask: () => Promise<unknown>, { runs = 1, afterwardsMs = 0 }: LongestOptions = {}) {
    this.#asked += 1;
    if (this.#only !== undefined && this.#only !== this.#asked) return;
    const turns: LoopTurn[] = [];
    let tookMs = 0;
    for (let run = 0; run < runs; run += 1) {
      await this.#server.longestTurn();
      const startedAt = performance.now();
      await ask();
      tookMs = performance.now() - startedAt;
      if (afterwardsMs > 0) await new Promise((resolve) => setTimeout(resolve, afterwardsMs));
      turns.push(await this.#server.longestTurn());
    }
    const [first, ...others] = turns;
    const counted = others.length > 0 ? others : turns;
    const worst = counted.reduce((worse, turn) => (turn.oursMs > worse.oursMs ? turn : worse));
    const firstTime = others.length > 0 ? `; ${first?.oursMs.toFixed(0)} ms the first time` : '';
    const note = `${tookMs.toFixed(0)} ms in all; ${textOfTurn(worst)}${firstTime}`;
    this.measures.push({ name, unit: 'ms', value: worst.oursMs, bound: { atMost: longestTurnMaxMs }, note });
  }
}

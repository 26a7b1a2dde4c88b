import type { Clock } from '../../base/clock.ts';

/** Lets callers wait for something that has a name, each until its own time is up. */
export class Arrivals {
  readonly #clock: Clock;
  readonly #waitingMax: number;
  readonly #waiting = new Map<string, Set<() => void>>();
  #count = 0;

  constructor(deps: { clock: Clock; waitingMax: number }) {
    this.#clock = deps.clock;
    this.#waitingMax = deps.waitingMax;
  }

  /** Resolves with the arrival, the end of the time, or the signal; at once where too many wait. */
  wait(name: string, timeoutMs: number, signal: AbortSignal): Promise<void> {
    if (timeoutMs <= 0 || signal.aborted || this.#count >= this.#waitingMax) return Promise.resolve();
    return new Promise((resolve) => {
      const waiting = this.#waiting.get(name) ?? new Set();
      this.#waiting.set(name, waiting);
      this.#count += 1;
      const end = (): void => {
        if (!waiting.delete(end)) return;
        if (waiting.size === 0) this.#waiting.delete(name);
        this.#count -= 1;
        timer.clear();
        signal.removeEventListener('abort', end);
        resolve();
      };
      const timer = this.#clock.setTimer(timeoutMs, end);
      signal.addEventListener('abort', end);
      waiting.add(end);
    });
  }

  tell(name: string): void {
    for (const end of [...(this.#waiting.get(name) ?? [])]) end();
  }

  /** Ends every wait. */
  stop(): void {
    for (const name of [...this.#waiting.keys()]) this.tell(name);
  }
}

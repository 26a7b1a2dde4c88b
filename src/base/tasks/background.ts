import type { Log } from '../log.ts';

/**
 * Tasks that nobody awaits but that somebody owns: a failure is logged, the end of the process waits for them. At most
 * `tasksMax` at once; a further one is not started, and `run` says so.
 */
export class Background {
  readonly #log: Log;
  readonly #tasksMax: number;
  readonly #tasks = new Set<Promise<void>>();
  readonly #abort = new AbortController();

  constructor(deps: { log: Log; tasksMax?: number }) {
    this.#log = deps.log;
    this.#tasksMax = deps.tasksMax ?? 10_000;
  }

  /** Aborted by `stop`: a task that waits for something long watches it. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Starts `task` now. False, and nothing is started, after `stop` or when too many run. */
  run(name: string, task: (signal: AbortSignal) => Promise<void>): boolean {
    if (this.#abort.signal.aborted) return false;
    if (this.#tasks.size >= this.#tasksMax) {
      this.#log.warn({ task: name }, 'too many background tasks, this one is left out');
      return false;
    }
    const running = this.#guard(name, task).finally(() => this.#tasks.delete(running));
    this.#tasks.add(running);
    return true;
  }

  async #guard(name: string, task: (signal: AbortSignal) => Promise<void>): Promise<void> {
    try {
      await task(this.#abort.signal);
    } catch (err) {
      if (!this.#abort.signal.aborted) this.#log.error({ task: name, err }, 'a background task failed');
    }
  }

  /** Resolves when no task runs, also none that was started meanwhile. */
  async idle(): Promise<void> {
    while (this.#tasks.size > 0) await Promise.all(this.#tasks);
  }

  /** Aborts the signal, takes nothing new, and waits for what runs. */
  async stop(): Promise<void> {
    this.#abort.abort();
    await this.idle();
  }
}

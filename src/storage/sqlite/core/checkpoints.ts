import type { Log } from '../../../base/log.ts';
import type { CheckpointWorker } from './checkpoint-thread.ts';

/** After how many written rows the log is looked at. Pages that are written again and again in between go into the file once. */
const rowsBetween = 4_000;
/** Pages, 4 KiB each. A log of that length is brought to its end, so that it begins anew. */
const logMax = 16_000;

export interface CheckpointDeps {
  readonly worker: CheckpointWorker;
  /** Lets no commit begin until the task is through; they wait meanwhile, the loop does not. */
  readonly holdCommits: (task: () => Promise<void>) => Promise<void>;
  readonly log: Log;
}

/**
 * Brings the write-ahead log into the database file, beside the loop: a checkpoint waits for the disk twice, a tenth of a second and
 * more. Where writes follow one another without a pause it never comes to the end of the log, which then would only grow; so when that
 * is long and nearly all of it moved, commits are held for the rest.
 */
export class Checkpoints {
  readonly #deps: CheckpointDeps;
  #rows = 0;
  #running: Promise<void> | undefined;

  constructor(deps: CheckpointDeps) {
    this.#deps = deps;
  }

  /** Of a transaction. */
  wrote(rows: number): void {
    this.#rows += rows;
    if (this.#rows < rowsBetween || this.#running !== undefined) return;
    this.#rows = 0;
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
    });
  }

  async idle(): Promise<void> {
    await this.#running;
  }

  async stop(): Promise<void> {
    await this.idle();
    await this.#deps.worker.stop();
  }

  async #run(): Promise<void> {
    const { worker, holdCommits, log } = this.#deps;
    try {
      const first = await worker.run();
      if (first.log < logMax || first.checkpointed === first.log) return;
      await holdCommits(async () => {
        await worker.run();
      });
    } catch (err) {
      // The log grows until the next one; SQLite makes one itself before it is very long.
      log.error({ err }, 'a checkpoint of the database failed');
    }
  }
}

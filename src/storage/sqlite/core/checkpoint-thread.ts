import { DatabaseThread } from './database-thread.ts';

/** What SQLite says of a checkpoint, in pages. */
export interface Checkpoint {
  /** The length of the write-ahead log. */
  readonly log: number;
  /** How much of it is in the database file. */
  readonly checkpointed: number;
}

export interface CheckpointWorker {
  /** Brings into the database file what it can without stopping anybody. One at a time. */
  run(): Promise<Checkpoint>;
  /** Resolves when the thread has let go of the database. */
  stop(): Promise<void>;
}

/** Beside the loop, which does not wait for the disk. */
export class CheckpointThread implements CheckpointWorker {
  readonly #thread: DatabaseThread;

  constructor(file: string) {
    this.#thread = new DatabaseThread(new URL('./checkpoint-thread.js', import.meta.url), file);
  }

  run(): Promise<Checkpoint> {
    // The pragma's one row.
    return this.#thread.ask(null) as Promise<Checkpoint>;
  }

  stop(): Promise<void> {
    return this.#thread.stop();
  }
}

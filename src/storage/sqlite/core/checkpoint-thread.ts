import { Worker } from 'node:worker_threads';

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

/** On a thread with a connection of its own, which begins with the first checkpoint. */
export class CheckpointThread implements CheckpointWorker {
  readonly #file: string;
  #worker: Worker | undefined;
  #pending: { resolve(done: Checkpoint): void; reject(error: Error): void } | undefined;

  constructor(file: string) {
    this.#file = file;
  }

  run(): Promise<Checkpoint> {
    const worker = this.#started();
    return new Promise((resolve, reject) => {
      this.#pending = { resolve, reject };
      // It keeps the process only while somebody waits for it.
      worker.ref();
      worker.postMessage('run');
    });
  }

  async stop(): Promise<void> {
    const worker = this.#worker;
    if (!worker) return;
    const ended = new Promise((resolve) => worker.once('exit', resolve));
    worker.ref();
    worker.postMessage('stop');
    await ended;
  }

  #started(): Worker {
    if (this.#worker) return this.#worker;
    const worker = new Worker(new URL('./checkpoint-thread.js', import.meta.url), { workerData: { file: this.#file } });
    worker.unref();
    worker.on('message', (answer: Checkpoint | { readonly error: string }) => {
      const pending = this.#pending;
      this.#pending = undefined;
      worker.unref();
      if ('error' in answer) pending?.reject(new Error(answer.error));
      else pending?.resolve(answer);
    });
    worker.on('error', (error) => this.#fail(error));
    worker.on('exit', () => this.#fail(new Error('the checkpoint thread ended')));
    this.#worker = worker;
    return worker;
  }

  #fail(error: Error): void {
    this.#worker = undefined;
    this.#pending?.reject(error);
    this.#pending = undefined;
  }
}

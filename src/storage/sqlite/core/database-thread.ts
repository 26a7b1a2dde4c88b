import { Worker } from 'node:worker_threads';

interface Pending {
  resolve(answer: unknown): void;
  reject(error: Error): void;
}

interface Answered {
  readonly id: number;
  readonly answer?: unknown;
  readonly error?: string;
}

/** A thread with a connection of its own to the database file, which begins with the first question and answers one after the other (`serve-asked.js`). */
export class DatabaseThread {
  readonly #program: URL;
  readonly #file: string;
  readonly #pending = new Map<number, Pending>();
  #worker: Worker | undefined;
  #asked = 0;

  constructor(program: URL, file: string) {
    this.#program = program;
    this.#file = file;
  }

  /** What the program answers. Rejects with what it throws, and when the thread ends before. */
  ask(asked: unknown): Promise<unknown> {
    const worker = this.#started();
    this.#asked += 1;
    const id = this.#asked;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      worker.ref();
      worker.postMessage({ id, asked });
    });
  }

  /** Resolves when the thread has let go of the database. */
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
    const worker = new Worker(this.#program, { workerData: { file: this.#file } });
    worker.unref();
    worker.on('message', ({ id, answer, error }: Answered) => {
      const waiting = this.#pending.get(id);
      this.#pending.delete(id);
      // It keeps the process only while somebody waits for it.
      if (this.#pending.size === 0) worker.unref();
      if (error === undefined) waiting?.resolve(answer);
      else waiting?.reject(new Error(error));
    });
    worker.on('error', (error) => this.#fail(error));
    worker.on('exit', () => this.#fail(new Error('the thread beside the database ended')));
    this.#worker = worker;
    return worker;
  }

  #fail(error: Error): void {
    this.#worker = undefined;
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
  }
}

import { Worker } from 'node:worker_threads';
import type { Connection } from './database.ts';

type Parameters = Readonly<Record<string, string | number | null>>;

/** Reads that may take long: beside the loop, one after the other. */
export interface SlowReads {
  all<Row>(sql: string, parameters: Parameters): Promise<Row[]>;
  stop(): Promise<void>;
}

interface Pending {
  resolve(rows: unknown[]): void;
  reject(error: Error): void;
}

/** On a thread with a connection of its own, which begins with the first read. */
export class ReadingThread implements SlowReads {
  readonly #file: string;
  readonly #pending = new Map<number, Pending>();
  #worker: Worker | undefined;
  #reads = 0;

  constructor(file: string) {
    this.#file = file;
  }

  all<Row>(sql: string, parameters: Parameters): Promise<Row[]> {
    const worker = this.#started();
    this.#reads += 1;
    const id = this.#reads;
    return new Promise((resolve, reject) => {
      // The caller's SQL says what the rows are.
      this.#pending.set(id, { resolve: (rows) => resolve(rows as Row[]), reject });
      worker.ref();
      worker.postMessage({ id, sql, parameters });
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
    const worker = new Worker(new URL('./reading-thread.js', import.meta.url), { workerData: { file: this.#file } });
    worker.unref();
    worker.on('message', ({ id, rows, error }: { id: number; rows?: unknown[]; error?: string }) => {
      const waiting = this.#pending.get(id);
      this.#pending.delete(id);
      // It keeps the process only while somebody waits for it.
      if (this.#pending.size === 0) worker.unref();
      if (rows) waiting?.resolve(rows);
      else waiting?.reject(new Error(error));
    });
    worker.on('error', (error) => this.#fail(error));
    worker.on('exit', () => this.#fail(new Error('the reading thread ended')));
    this.#worker = worker;
    return worker;
  }

  #fail(error: Error): void {
    this.#worker = undefined;
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
  }
}

/** For a database in memory, which no other connection sees. */
export function readHere(connection: Connection): SlowReads {
  const statements = new Map<string, ReturnType<Connection['prepare']>>();
  return {
    async all<Row>(sql: string, parameters: Parameters) {
      const statement = statements.get(sql) ?? connection.prepare(sql);
      statements.set(sql, statement);
      return statement.all(parameters) as Row[];
    },
    stop: async () => {},
  };
}

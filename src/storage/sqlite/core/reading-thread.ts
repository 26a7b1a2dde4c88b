import type { Connection } from './database.ts';
import { DatabaseThread } from './database-thread.ts';

type Parameters = Readonly<Record<string, string | number | null>>;

/** Reads that may take long: beside the loop, one after the other. */
export interface SlowReads {
  all<Row>(sql: string, parameters: Parameters): Promise<Row[]>;
  stop(): Promise<void>;
}

/** Beside the loop, on a connection that only reads. */
export class ReadingThread implements SlowReads {
  readonly #thread: DatabaseThread;

  constructor(file: string) {
    this.#thread = new DatabaseThread(new URL('./reading-thread.js', import.meta.url), file);
  }

  all<Row>(sql: string, parameters: Parameters): Promise<Row[]> {
    // The caller's SQL says what the rows are.
    return this.#thread.ask({ sql, parameters }) as Promise<Row[]>;
  }

  stop(): Promise<void> {
    return this.#thread.stop();
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

import Database from 'better-sqlite3';

/** The SQL statements that this process runs, of every database, from `start` on. */
export class StatementCounter {
  readonly #prototype: Record<string, unknown>;
  readonly #originals = new Map<string, unknown>();
  #texts: string[] = [];

  constructor() {
    const probe = new Database(':memory:');
    this.#prototype = Object.getPrototypeOf(probe.prepare('SELECT 1'));
    probe.close();
  }

  start(): void {
    const note = (sql: string): void => {
      this.#texts.push(sql.replace(/\s+/g, ' ').trim());
    };
    for (const name of ['get', 'all', 'run']) {
      const original = this.#prototype[name];
      if (typeof original !== 'function') throw new Error(`the driver has no ${name}`);
      this.#originals.set(name, original);
      this.#prototype[name] = function (this: { source: string }, ...parameters: unknown[]): unknown {
        note(this.source);
        return Reflect.apply(original, this, parameters);
      };
    }
  }

  stop(): void {
    for (const [name, original] of this.#originals) this.#prototype[name] = original;
    this.#originals.clear();
  }

  /** What ran while `work` did. */
  async during(work: () => Promise<unknown>): Promise<string[]> {
    this.#texts = [];
    await work();
    const ran = this.#texts;
    this.#texts = [];
    return ran;
  }
}

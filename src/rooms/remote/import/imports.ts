import type { Log } from '../../../base/log.ts';
import { Background } from '../../../base/tasks/background.ts';
import type { SnapshotId } from '../../../storage/contract/numbers.ts';
import type { Storage } from '../../../storage/contract/storage.ts';

/** One large answer on its way in. */
export interface Import {
  readonly id: SnapshotId;
  /** To be awaited before anything is written under its number; small imports never come to that. */
  begin(): Promise<void>;
}

/** Gives numbers to imports, and clears up behind them: also behind those that the end of the process cut off. */
export class Imports {
  readonly #storage: Pick<Storage, 'imports' | 'commit' | 'newSnapshotId'>;
  readonly #background: Background;
  readonly #running = new Set<SnapshotId>();

  constructor(deps: { readonly storage: Pick<Storage, 'imports' | 'commit' | 'newSnapshotId'>; readonly log: Log }) {
    this.#storage = deps.storage;
    this.#background = new Background({ log: deps.log });
  }

  /** Runs an import. What is left of it afterwards, however it ended, is removed behind it. */
  async run<T>(task: (running: Import) => Promise<T>): Promise<T> {
    const id = this.#storage.newSnapshotId();
    let begun: Promise<unknown> | undefined;
    const begin = async (): Promise<void> => {
      begun ??= this.#storage.commit({ rows: [{ kind: 'import_started', importId: id }] });
      await begun;
    };
    this.#running.add(id);
    try {
      return await task({ id, begin });
    } finally {
      this.#running.delete(id);
      if (begun !== undefined) this.clearUp();
    }
  }

  /** Removes what is left of imports that have ended, in small steps. */
  clearUp(): void {
    this.#background.run('clear up behind imports', async (signal) => {
      for (const importId of await this.#storage.imports.list()) {
        while (!signal.aborted && !this.#running.has(importId) && (await this.#isLeft(importId))) {
          await this.#storage.commit({ rows: [{ kind: 'import_pruned', importId }] });
        }
      }
    });
  }

  idle(): Promise<void> {
    return this.#background.idle();
  }

  /** Nothing more is cleared up: what is left is, at the next start. */
  stop(): void {
    void this.#background.stop();
  }

  async #isLeft(importId: SnapshotId): Promise<boolean> {
    return (await this.#storage.imports.list()).includes(importId);
  }
}

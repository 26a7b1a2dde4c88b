import type { Change, LoggedChange } from '../storage/contract/changes.ts';
import type { Position } from '../storage/contract/numbers.ts';
import type { Storage } from '../storage/contract/storage.ts';

/** Changes that are remembered. A reader further behind asks the storage. */
const changesMax = 1_000;

const loggedKinds: ReadonlySet<string> = new Set<LoggedChange['kind']>([
  'event',
  'membership',
  'profile',
  'account_data',
  'device_list',
]);

export function isLogged(change: Change): change is LoggedChange {
  return loggedKinds.has(change.kind);
}

/** The end of the change log in memory: reactions are nearly always up to date, and need not ask the storage one by one what it was just given. */
export class RecentLog {
  readonly #storage: Pick<Storage, 'changes' | 'position'>;
  readonly #changes: LoggedChange[] = [];
  /** All that is logged behind it is here. */
  #floor: Position;

  constructor(storage: Pick<Storage, 'changes' | 'position'>) {
    this.#storage = storage;
    this.#floor = storage.position();
  }

  /** Of a commit, in the order of commits. */
  add(changes: readonly Change[]): void {
    this.#changes.push(...changes.filter(isLogged).sort((a, b) => a.position - b.position));
    if (this.#changes.length <= changesMax) return;
    // Half at once: moving the rest costs something.
    const dropped = this.#changes.splice(0, this.#changes.length - changesMax / 2);
    this.#floor = dropped.at(-1)?.position ?? this.#floor;
  }

  /** As `changes.list` of the storage: what stands at one position is never cut apart. */
  async list(after: Position, limit: number): Promise<readonly LoggedChange[]> {
    if (after < this.#floor) return this.#storage.changes.list(after, limit);
    const start = this.#changes.findLastIndex(({ position }) => position <= after) + 1;
    const last = this.#changes[start + limit - 1];
    if (last === undefined) return this.#changes.slice(start);
    const end = this.#changes.findLastIndex(({ position }) => position <= last.position) + 1;
    return this.#changes.slice(start, end);
  }
}

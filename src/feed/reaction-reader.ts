import { assert } from '../base/assert.ts';
import type { Clock, Timer } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Change, LoggedChange } from '../storage/contract/changes.ts';
import type { Position, Row } from '../storage/contract/commit.ts';
import type { Storage } from '../storage/contract/storage.ts';
import type { Reaction } from './feed.ts';
import { isLogged, type RecentLog } from './recent-log.ts';

const pageSize = 200;
/** Logged changes that do not concern the reaction and may be passed before the cursor is stored: storage keeps what no reaction has passed. */
const passedMax = 1_000;
/** Changes that led to no row and may be dealt with before the cursor is stored for their sake: so many are reacted to again after a crash. */
const unstoredMax = 200;
const triesMax = 8;
/** Doubling from the first. Without jitter: nobody else waits for the same thing. */
const pauseFirstMs = 1_000;
const pauseMaxMs = 60_000;

export interface FeedDeps {
  storage: Pick<Storage, 'changes' | 'commit' | 'position'>;
  clock: Clock;
  log: Log;
}

/** One reaction on its way through the change log: reads in pages, reacts in order, stores rows and cursor together. */
export class ReactionReader {
  readonly #deps: FeedDeps;
  readonly #recent: RecentLog;
  readonly #reaction: Reaction;
  readonly #kinds: ReadonlySet<string>;
  /** Everything up to here was dealt with; undefined before `start`. */
  #cursor: Position | undefined;
  #storedCursor: Position = 0;
  /** Since the cursor was stored: what did not concern the reaction, and what it dealt with. */
  #passed = 0;
  #unstored = 0;
  #pending = false;
  /** There are changes behind the cursor that were not read. */
  #behind = true;
  #running: Promise<void> | undefined;
  #stopped = false;
  #endPause: (() => void) | undefined;

  constructor(deps: FeedDeps, recent: RecentLog, reaction: Reaction) {
    this.#deps = deps;
    this.#recent = recent;
    this.#reaction = reaction;
    this.#kinds = new Set(reaction.kinds);
  }

  get busy(): boolean {
    return this.#running !== undefined;
  }

  async start(): Promise<void> {
    const stored = await this.#deps.storage.changes.findCursor(this.#reaction.name);
    this.#cursor = stored ?? this.#deps.storage.position();
    this.#storedCursor = this.#cursor;
    // A reaction that is new begins now; stored, or a crash before its first row would move its beginning.
    if (stored === undefined) await this.#storeCursor(this.#cursor);
    this.#run();
  }

  /**
   * Of a commit. Only what the reaction reads sets it going. Whatever else happens while it is up to date is passed at once, unread; only the
   * cursor is stored now and then.
   */
  notice(changes: readonly Change[]): void {
    // What a stop left unread is read after the next start.
    if (this.#stopped) return;
    let wanted = false;
    let last = this.#cursor;
    let count = 0;
    for (const change of changes) {
      if (!isLogged(change)) continue;
      if (this.#isWanted(change)) wanted = true;
      last = Math.max(last ?? 0, change.position);
      count += 1;
    }
    if (count === 0) return;
    if (wanted || this.#running !== undefined || this.#behind || this.#cursor === undefined) {
      this.#behind = true;
      if (wanted) this.#run();
      return;
    }
    this.#cursor = last;
    this.#passed += count;
    if (this.#passed >= passedMax) this.#run();
  }

  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  /** Lets the change at hand end; a pause before a further try is cut short. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#endPause?.();
    await this.idle();
    if (this.#cursor === undefined || this.#cursor === this.#storedCursor) return;
    try {
      await this.#storeCursor(this.#cursor);
    } catch (err) {
      this.#deps.log.warn({ err, reaction: this.#reaction.name }, 'the cursor of a reaction could not be stored');
    }
  }

  #run(): void {
    this.#pending = true;
    if (this.#cursor === undefined || this.#stopped || this.#running !== undefined) return;
    this.#running = this.#readOn();
  }

  async #readOn(): Promise<void> {
    // Never reads inside the commit listener.
    await Promise.resolve();
    let failures = 0;
    while ((this.#pending || this.#behind) && !this.#stopped) {
      this.#pending = false;
      try {
        await this.#readPages();
        failures = 0;
      } catch (err) {
        failures += 1;
        this.#pending = true;
        this.#deps.log.error({ err, reaction: this.#reaction.name }, 'a reaction cannot read or store; it tries again');
        await this.#pause(failures);
      }
    }
    // In the same step as the last look at `#pending`, or a change between the two would be forgotten.
    this.#running = undefined;
  }

  async #readPages(): Promise<void> {
    while (!this.#stopped) {
      // Before the list is made: whatever is told behind it makes it true again.
      this.#behind = false;
      const page = await this.#recent.list(this.#cursor ?? 0, pageSize);
      const groups = groupByPosition(page);
      for (const group of groups) {
        if (!(await this.#reactTo(group))) return;
      }
      // A change that led to no row needs no commit of its own.
      const isDue = this.#unstored >= unstoredMax || this.#passed >= passedMax;
      if (isDue && this.#cursor !== undefined) await this.#storeCursor(this.#cursor);
      if (page.length < pageSize) return;
    }
  }

  /** Deals with the changes of one position. False when the stop came first. */
  async #reactTo(group: readonly LoggedChange[]): Promise<boolean> {
    const position = group[0]?.position;
    assert(position !== undefined, 'a group of changes has at least one');
    const wanted = group.filter((change) => this.#isWanted(change));
    this.#unstored += wanted.length;
    this.#passed += group.length - wanted.length;
    let failures = 0;
    while (wanted.length > 0 && failures < triesMax) {
      if (this.#stopped) return false;
      try {
        const rows = await this.#rowsFor(wanted);
        if (rows.length > 0) await this.#storeCursor(position, rows);
        break;
      } catch (err) {
        failures += 1;
        const fields = { err, reaction: this.#reaction.name, position, failures };
        if (failures === triesMax) {
          this.#deps.log.error(fields, 'a reaction failed too often; the change is passed over');
          // For good: not tried again after a crash.
          this.#unstored = unstoredMax;
        } else {
          this.#deps.log.warn(fields, 'a reaction failed; it tries again');
          await this.#pause(failures);
        }
      }
    }
    this.#cursor = position;
    return true;
  }

  #isWanted(change: LoggedChange): boolean {
    return this.#kinds.has(change.kind) && (this.#reaction.concerns?.(change) ?? true);
  }

  async #rowsFor(changes: readonly LoggedChange[]): Promise<Row[]> {
    const rows: Row[] = [];
    for (const change of changes) rows.push(...(await this.#reaction.react(change)));
    return rows;
  }

  async #storeCursor(position: Position, rows: readonly Row[] = []): Promise<void> {
    const cursor: Row = { kind: 'reaction_cursor', name: this.#reaction.name, position };
    const result = await this.#deps.storage.commit({ rows: [...rows, cursor] });
    assert(result.outcome === 'committed', 'a batch that expects nothing is never refused');
    this.#cursor = position;
    this.#storedCursor = position;
    this.#unstored = 0;
    this.#passed = 0;
  }

  async #pause(failures: number): Promise<void> {
    if (this.#stopped) return;
    let timer: Timer | undefined;
    await new Promise<void>((resolve) => {
      this.#endPause = resolve;
      timer = this.#deps.clock.setTimer(Math.min(pauseFirstMs * 2 ** (failures - 1), pauseMaxMs), resolve);
    });
    timer?.clear();
    this.#endPause = undefined;
  }
}

function groupByPosition(changes: readonly LoggedChange[]): LoggedChange[][] {
  const groups: LoggedChange[][] = [];
  for (const change of changes) {
    const last = groups.at(-1);
    if (last?.[0]?.position === change.position) last.push(change);
    else groups.push([change]);
  }
  return groups;
}

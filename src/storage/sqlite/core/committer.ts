import { assert } from '../../../base/assert.ts';
import type { Clock } from '../../../base/clock.ts';
import type { Log } from '../../../base/log.ts';
import type { Change } from '../../contract/changes.ts';
import type { Batch, CommitListener, CommitResult, Expectation, Row } from '../../contract/commit.ts';
import type { Position } from '../../contract/numbers.ts';
import { type Connection, type Synchronous, setSynchronous } from './database.ts';
import type { Positions } from './positions.ts';
import type { Entry } from './writes.ts';

/** Batches that may wait for the disk. Beyond it commits are refused: whoever made so many did not wait for any. */
const waitingMax = 20_000;
/** Batches of one transaction, and how long a transaction may take on. The rest goes into the next turn's. */
const groupSizeMax = 200;
const groupBudgetMs = 10;

interface Waiting {
  batch: Batch;
  resolve(result: CommitResult): void;
  reject(error: unknown): void;
}

interface Applied {
  waiting: Waiting;
  result: CommitResult;
  changes: readonly Change[];
}

export interface CommitterDeps {
  connection: Connection;
  clock: Clock;
  log: Log;
  synchronous: Synchronous;
  positions: Positions;
  holds(expectation: Expectation): boolean;
  /** Rows of one kind, in their order. */
  write(entries: readonly [Entry, ...Entry[]]): void;
  /** Writes what follows from all batches that were kept, at the end of their transaction. */
  writeLast(): void;
  /** Writes what follows from the changes of a batch, in its transaction. */
  logChanges(changes: readonly Change[]): void;
  /** Something that was written, and maybe remembered in memory, was undone. */
  undone(): void;
  /** How many rows a transaction wrote. */
  wrote(rows: number): void;
}

/**
 * The one way to write. Batches of one tick are applied in one transaction, each in a savepoint; then, in their order,
 * the listener is told and the commit resolves.
 */
export class Committer {
  readonly #deps: CommitterDeps;
  readonly #sql;
  #waiting: Waiting[] = [];
  #scheduled = false;
  #held = false;
  #stopped = false;
  #listener: CommitListener | undefined;
  #visible: Position;

  constructor(deps: CommitterDeps) {
    this.#deps = deps;
    this.#visible = deps.positions.last;
    const { connection } = deps;
    this.#sql = {
      begin: connection.prepare('BEGIN IMMEDIATE'),
      commit: connection.prepare('COMMIT'),
      rollback: connection.prepare('ROLLBACK'),
      mark: connection.prepare('SAVEPOINT batch'),
      keep: connection.prepare('RELEASE batch'),
      undo: connection.prepare('ROLLBACK TO batch'),
    };
  }

  get position(): Position {
    return this.#visible;
  }

  listen(listener: CommitListener): void {
    assert(this.#listener === undefined, 'storage has one listener');
    this.#listener = listener;
  }

  commit(batch: Batch): Promise<CommitResult> {
    if (this.#stopped) return Promise.reject(new Error('the storage is stopped'));
    if (this.#waiting.length >= waitingMax) return Promise.reject(new Error('too many commits wait for the disk'));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ batch, resolve, reject });
      this.#schedule();
    });
  }

  /** Commits wait until the task is through. Not while another one holds them. */
  async hold(task: () => Promise<void>): Promise<void> {
    this.#held = true;
    try {
      await task();
    } finally {
      this.#held = false;
      this.#schedule();
    }
  }

  /** Applies what waits; further commits are refused. */
  stop(): void {
    this.#stopped = true;
    while (this.#waiting.length > 0) this.#applyGroup();
  }

  #schedule(): void {
    if (this.#scheduled || this.#held || this.#waiting.length === 0) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      if (this.#waiting.length > 0 && !this.#held) this.#applyGroup();
      this.#schedule();
    });
  }

  #applyGroup(): void {
    const group = this.#waiting.splice(0, groupSizeMax);
    const durable = this.#deps.synchronous === 'normal' && group.some(({ batch }) => batch.durable === true);
    const reset = this.#deps.positions.mark();
    let applied: Applied[] = [];
    let late: Waiting[] = [];
    try {
      if (durable) setSynchronous(this.#deps.connection, 'full');
      this.#sql.begin.run();
      const inTime = this.#applyInTurn(group);
      applied = inTime.applied;
      late = group.slice(inTime.taken);
      this.#deps.writeLast();
      this.#deps.positions.save();
      this.#sql.commit.run();
    } catch (error) {
      if (this.#deps.connection.inTransaction) this.#sql.rollback.run();
      reset();
      this.#deps.undone();
      for (const { reject } of group) reject(error);
      return;
    } finally {
      if (durable) setSynchronous(this.#deps.connection, 'normal');
    }
    this.#waiting.unshift(...late);
    this.#deps.wrote(applied.reduce((sum, { waiting }) => sum + waiting.batch.rows.length, 0));
    this.#visible = this.#deps.positions.last;
    for (const { waiting, result, changes } of applied) {
      this.#tell(changes);
      waiting.resolve(result);
    }
  }

  /** Applies until the group is through or the time is up. */
  #applyInTurn(group: readonly Waiting[]): { applied: Applied[]; taken: number } {
    const startedAtMs = this.#deps.clock.monotonic();
    const applied: Applied[] = [];
    let taken = 0;
    for (const waiting of group) {
      taken += 1;
      try {
        applied.push({ waiting, ...this.#applyBatch(waiting.batch) });
      } catch (error) {
        if (!this.#deps.connection.inTransaction) throw error;
        waiting.reject(error);
      }
      if (this.#deps.clock.monotonic() - startedAtMs >= groupBudgetMs) break;
    }
    return { applied, taken };
  }

  #applyBatch(batch: Batch): { result: CommitResult; changes: readonly Change[] } {
    const broken = batch.expect?.find((expectation) => !this.#deps.holds(expectation));
    if (broken !== undefined) return { result: { outcome: 'conflict', expectation: broken }, changes: [] };
    const reset = this.#deps.positions.mark();
    this.#sql.mark.run();
    try {
      const written = this.#writeRows(batch.rows);
      this.#sql.keep.run();
      return written;
    } catch (error) {
      reset();
      this.#deps.undone();
      if (this.#deps.connection.inTransaction) {
        this.#sql.undo.run();
        this.#sql.keep.run();
      }
      throw error;
    }
  }

  #writeRows(rows: readonly Row[]): { result: CommitResult; changes: readonly Change[] } {
    const { positions } = this.#deps;
    const positionBefore = positions.last;
    const nowMs = this.#deps.clock.now();
    const given = positions.assign(rows);
    const changesOfRow: Change[][] = rows.map(() => []);
    const entries = rows.map((row, index): Entry => {
      const change = (entry: Change) => void changesOfRow[index]?.push(entry);
      return { row, step: { position: given[index] ?? undefined, nowMs, positionBefore, change } };
    });
    for (const ofKind of inOrder(entries)) this.#deps.write(ofKind);
    const changes = changesOfRow.flat();
    this.#deps.logChanges(changes);
    const position = given.some((one) => one !== null && one > 0) ? positions.last : positionBefore;
    return { result: { outcome: 'committed', position, positions: given }, changes };
  }

  #tell(changes: readonly Change[]): void {
    if (changes.length === 0 || this.#listener === undefined) return;
    try {
      this.#listener(changes);
    } catch (error) {
      this.#deps.log.error({ err: error }, 'the listener of commits failed');
    }
  }
}

/** An event looks into the snapshot before it; what else there is may look at the event, and takes back what it means to users. Losses look at nothing. */
const firstKinds: readonly Row['kind'][] = ['snapshot', 'event', 'notification', 'presence_loss'];

/** What can be written together: those of the first kinds, then the others as they come. */
function inOrder(entries: readonly Entry[]): [Entry, ...Entry[]][] {
  const groups: [Entry, ...Entry[]][] = [];
  const add = (ofKind: readonly Entry[]): void => {
    const [first, ...others] = ofKind;
    if (first) groups.push([first, ...others]);
  };
  for (const kind of firstKinds) add(entries.filter(({ row }) => row.kind === kind));
  for (const entry of entries) if (!firstKinds.includes(entry.row.kind)) add([entry]);
  return groups;
}

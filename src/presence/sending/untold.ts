import type { Clock, Timer } from '../../base/clock.ts';
import type { Background } from '../../base/tasks/background.ts';
import type { UserId } from '../../matrix/ids.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import type { Row } from '../../storage/contract/commit.ts';
import type { Storage } from '../../storage/contract/storage.ts';

const factPrefix = 'untold:';
/** What has been told meanwhile is written at most this often: to forget it late costs one update after a crash. */
const clearEveryMs = 60_000;
const rowsPerCommit = 500;

export interface UntoldDeps {
  storage: Pick<Storage, 'commit'>;
  clock: Clock;
  background: Background;
}

/**
 * Subjects who are offline, and of whom some server has yet to be told something that would never expire there: a status that came
 * or went. Marks end with the process, so these are written down, one fact for each subject.
 */
export class Untold {
  readonly #deps: UntoldDeps;
  readonly #servers = new Map<UserId, Set<ServerName>>();
  readonly #told = new Set<UserId>();
  #clearTimer: Timer | undefined;
  #stopped = false;

  constructor(deps: UntoldDeps) {
    this.#deps = deps;
  }

  /** Of whom an earlier process may have left something untold; from the stored facts. */
  static read(facts: Iterable<{ readonly name: string }>): Set<UserId> {
    const subjects = new Set<UserId>();
    for (const { name } of facts)
      if (name.startsWith(factPrefix)) subjects.add(name.slice(factPrefix.length) as UserId);
    return subjects;
  }

  /** To be durable with what is to be told. */
  static row(subject: UserId): Row {
    return { kind: 'presence_fact', name: `${factPrefix}${subject}`, value: 'yes' };
  }

  add(server: ServerName, subject: UserId): void {
    this.#told.delete(subject);
    const servers = this.#servers.get(subject);
    if (servers) {
      servers.add(server);
      return;
    }
    this.#servers.set(subject, new Set([server]));
    this.#deps.background.run('write down what a server must be told', () => this.#commit([Untold.row(subject)]));
  }

  /** The server has been told, or there is nothing to tell it. */
  remove(server: ServerName, subject: UserId): void {
    const servers = this.#servers.get(subject);
    if (!servers?.delete(server) || servers.size > 0) return;
    this.#servers.delete(subject);
    this.forget(subject);
  }

  /** Nobody has to be told of the subject, whatever is stored. */
  forget(subject: UserId): void {
    if (this.#servers.has(subject)) return;
    this.#told.add(subject);
    if (this.#clearTimer || this.#stopped) return;
    this.#clearTimer = this.#deps.clock.setTimer(clearEveryMs, () => {
      this.#clearTimer = undefined;
      this.#deps.background.run('forget what servers were told', () => this.#clear());
    });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#clearTimer?.clear();
    await this.#clear();
  }

  async #clear(): Promise<void> {
    const rows: Row[] = [...this.#told].map((subject) => ({
      kind: 'presence_fact',
      name: `${factPrefix}${subject}`,
      value: null,
    }));
    this.#told.clear();
    for (let start = 0; start < rows.length; start += rowsPerCommit)
      await this.#commit(rows.slice(start, start + rowsPerCommit));
  }

  async #commit(rows: readonly Row[]): Promise<void> {
    await this.#deps.storage.commit({ rows });
  }
}

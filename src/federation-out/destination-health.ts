import { LRUCache } from 'lru-cache';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import { type Backoff, backoffDelayMs } from '../base/tasks/backoff.ts';
import type { ServerName } from '../matrix/server-name.ts';
import type { DestinationHealthRow } from '../storage/contract/outgoing.ts';
import type { Storage } from '../storage/contract/storage.ts';

/** First wait 2 s to 4 s, then doubling up to an hour. */
const backoff: Backoff = { firstMs: 4_000, maxMs: 3_600_000 };
/** Servers remembered as failing; beyond it the one longest untouched is forgotten, which costs one attempt at it. */
const failingMax = 20_000;
const rowsPerCommit = 500;

export interface Failing {
  readonly failingSinceMs: number;
  /** Epoch milliseconds; before it nobody who can wait should try. */
  readonly retryAtMs: number;
  readonly failures: number;
}

export interface DestinationHealthDeps {
  storage: {
    outgoing: Pick<Storage['outgoing'], 'listFailingDestinations'>;
    commit: Storage['commit'];
  };
  clock: Clock;
  random: Random;
  log: Log;
}

/**
 * Which servers do not answer, and when to try them again. Everything that asks another server marks here, and reads are
 * synchronous: a server not known as failing may be tried. Who failed survives a restart.
 *
 * `FederationRequests` marks for every call it makes, also for `sendTransaction`: the sender only reads, and calls
 * `markReachable` when the server was heard of in another way.
 */
export class DestinationHealth {
  readonly #deps: DestinationHealthDeps;
  readonly #failing = new LRUCache<ServerName, Failing>({ max: failingMax });
  readonly #listeners: ((destination: ServerName) => void)[] = [];
  readonly #unwritten = new Set<ServerName>();
  #writing: Promise<void> | undefined;

  constructor(deps: DestinationHealthDeps) {
    this.#deps = deps;
  }

  /** Takes up what was known when the process ended. Before this every server may be tried. */
  async start(): Promise<void> {
    for (const row of await this.#deps.storage.outgoing.listFailingDestinations(failingMax)) {
      if (row.retryAtMs === null || this.#failing.has(row.destination)) continue;
      this.#failing.set(row.destination, {
        failingSinceMs: row.failingSinceMs ?? row.retryAtMs,
        retryAtMs: row.retryAtMs,
        failures: row.failures,
      });
    }
  }

  /** Whether the destination may be asked now: it is not failing, or its back-off is over. */
  mayTry(destination: ServerName): boolean {
    const failing = this.#failing.get(destination);
    return failing === undefined || failing.retryAtMs <= this.#deps.clock.now();
  }

  /** How it fails; undefined when the last attempt reached it or none was made. */
  find(destination: ServerName): Failing | undefined {
    return this.#failing.get(destination);
  }

  /** The attempt reached it, or it was heard of. Ends the back-off and tells the listeners, if there was one. */
  markReachable(destination: ServerName): void {
    if (!this.#failing.delete(destination)) return;
    this.#deps.log.info({ destination }, 'the server answers again');
    this.#write(destination);
    for (const listener of this.#listeners) listener(destination);
  }

  /**
   * The attempt failed. Several failures while one back-off lasts count once, so that ten requests which were under way
   * together do not make it an hour.
   */
  markFailed(destination: ServerName): Failing {
    const now = this.#deps.clock.now();
    const before = this.#failing.get(destination);
    if (before && before.retryAtMs > now) return before;
    const failures = (before?.failures ?? 0) + 1;
    const failing: Failing = {
      failingSinceMs: before?.failingSinceMs ?? now,
      retryAtMs: now + backoffDelayMs(backoff, failures, this.#deps.random),
      failures,
    };
    this.#failing.set(destination, failing);
    this.#write(destination);
    return failing;
  }

  /** `listener` is called whenever a failing server is reachable again. Must not throw. */
  onBack(listener: (destination: ServerName) => void): void {
    this.#listeners.push(listener);
  }

  #write(destination: ServerName): void {
    this.#unwritten.add(destination);
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = undefined;
    });
  }

  async #writeAll(): Promise<void> {
    await Promise.resolve();
    while (this.#unwritten.size > 0) {
      const destinations = [...this.#unwritten].slice(0, rowsPerCommit);
      for (const destination of destinations) this.#unwritten.delete(destination);
      try {
        await this.#deps.storage.commit({ rows: destinations.map((destination) => this.#row(destination)) });
      } catch (err) {
        this.#deps.log.warn({ err }, 'the back-off of other servers could not be stored; it is kept in memory only');
      }
    }
  }

  #row(destination: ServerName): { kind: 'destination_health' } & DestinationHealthRow {
    const failing = this.#failing.peek(destination);
    return {
      kind: 'destination_health',
      destination,
      failingSinceMs: failing?.failingSinceMs ?? null,
      retryAtMs: failing?.retryAtMs ?? null,
      failures: failing?.failures ?? 0,
    };
  }

  /** Resolves when everything marked so far is stored. */
  async idle(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
  }

  async stop(): Promise<void> {
    await this.idle();
  }
}

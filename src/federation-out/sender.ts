import type { Timer } from '../base/clock.ts';
import { type Backoff, backoffDelayMs } from '../base/tasks/backoff.ts';
import type { ServerName } from '../matrix/server-name.ts';
import type { DestinationHealth } from './destination-health.ts';
import { DestinationQueue, type QueueDeps } from './destination-queue.ts';
import type { EduSource } from './edu-source.ts';
import { FederationError } from './requests-contract.ts';
import type { Sender } from './sender-contract.ts';
import { VolatileEdus } from './volatile-edus.ts';

/** Destinations sending at once, one transaction each. */
const sendingMax = 32;
/** Destinations with something to send that are kept in memory; of the rest only that there are some. */
const queuesMax = 50_000;
/** At the start this many pending destinations are taken up every `startSliceEveryMs`. */
const startSlice = 10;
const startSliceEveryMs = 100;
/** For a server that answers and refuses, and for our own failures; what cannot be reached has DestinationHealth. */
const backoff: Backoff = { firstMs: 4_000, maxMs: 3_600_000 };
/** A rest is looked at again at least this often: the machine's clock may be set meanwhile. */
const restCheckMs = 60_000;
/** How long the stop waits for answers. What is not answered is repeated, under the same id, after the next start. */
const stopGraceMs = 5_000;

export interface SenderDeps extends QueueDeps {
  health: Pick<DestinationHealth, 'mayTry' | 'find' | 'markReachable' | 'onBack'>;
}

interface Entry {
  readonly queue: DestinationQueue;
  state: 'ready' | 'sending' | 'resting';
  failures: number;
  /** Epoch milliseconds; only while resting. */
  restsUntilMs: number;
  /** Not where the server answers but refuses, or the failure was ours. */
  hearingEndsRest: boolean;
  /** Told when nothing is left or an attempt failed. */
  readonly flushers: (() => void)[];
}

export function createSender(deps: SenderDeps): Sender {
  return new QueuesByDestination(deps);
}

class QueuesByDestination implements Sender {
  readonly #deps: SenderDeps;
  readonly #volatile: VolatileEdus;
  /** Everything that is ready, sending or resting; a destination with nothing to send has no entry. */
  readonly #entries = new Map<ServerName, Entry>();
  /** In order of their turns. */
  readonly #ready = new Set<Entry>();
  readonly #sending = new Set<Promise<void>>();
  readonly #abandon = new AbortController();
  #restTimer: Timer | undefined;
  #restTimerAtMs = Number.POSITIVE_INFINITY;
  #backlog: ServerName[] = [];
  #backlogTimer: Timer | undefined;
  #overflowed = false;
  #started = false;
  #stopped = false;
  #idlers: (() => void)[] = [];

  constructor(deps: SenderDeps) {
    this.#deps = deps;
    this.#volatile = new VolatileEdus({ log: deps.log });
    deps.health.onBack((destination) => this.#wake(destination));
  }

  addSource(source: EduSource): void {
    this.#volatile.add(source);
  }

  async start(): Promise<void> {
    this.#backlog = await this.#deps.storage.outgoing.listPendingDestinations();
    this.#started = true;
    this.#takeUpSlice();
    this.#pump();
  }

  poke(destination: ServerName): void {
    if (this.#stopped || destination === this.#deps.serverName) return;
    const known = this.#entries.get(destination);
    if (known) {
      known.queue.again = true;
      return;
    }
    if (this.#entries.size >= queuesMax) {
      if (!this.#overflowed) this.#deps.log.warn('too many destinations have something to send; some wait in storage');
      this.#overflowed = true;
      return;
    }
    const what = { destination, volatile: this.#volatile, signal: this.#abandon.signal };
    const queue = new DestinationQueue(this.#deps, what);
    const entry: Entry = { queue, state: 'ready', failures: 0, restsUntilMs: 0, hearingEndsRest: true, flushers: [] };
    this.#entries.set(destination, entry);
    if (this.#deps.health.mayTry(destination)) this.#makeReady(entry);
    else this.#rest(entry, this.#deps.health.find(destination)?.retryAtMs ?? 0);
  }

  serverIsBack(destination: ServerName): void {
    this.#deps.health.markReachable(destination);
    this.#wake(destination);
  }

  flush(destination: ServerName): Promise<void> {
    const entry = this.#entries.get(destination);
    if (!this.#started || this.#stopped || !entry) return Promise.resolve();
    if (entry.state === 'resting') this.#makeReady(entry);
    return new Promise((resolve) => entry.flushers.push(resolve));
  }

  idle(): Promise<void> {
    if (this.#isIdle()) return Promise.resolve();
    return new Promise((resolve) => this.#idlers.push(resolve));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#restTimer?.clear();
    this.#backlogTimer?.clear();
    this.#backlog = [];
    this.#ready.clear();
    let grace: Timer | undefined;
    const over = new Promise<void>((resolve) => {
      grace = this.#deps.clock.setTimer(stopGraceMs, resolve);
    });
    await Promise.race([Promise.all(this.#sending), over]);
    grace?.clear();
    this.#abandon.abort(new Error('the sender has stopped'));
    for (const resolve of this.#idlers.splice(0)) resolve();
    for (const entry of this.#entries.values()) tellFlushed(entry);
  }

  #isIdle(): boolean {
    // Before the start nothing can be sent: a server that does not federate never starts it.
    if (!this.#started) return true;
    return this.#ready.size === 0 && this.#sending.size === 0 && this.#backlog.length === 0;
  }

  #takeUpSlice(): void {
    for (const destination of this.#backlog.splice(0, startSlice)) this.poke(destination);
    if (this.#backlog.length > 0) {
      this.#backlogTimer = this.#deps.clock.setTimer(startSliceEveryMs, () => this.#takeUpSlice());
    }
    this.#tellIdle();
  }

  #makeReady(entry: Entry): void {
    entry.state = 'ready';
    this.#ready.add(entry);
    this.#pump();
  }

  #pump(): void {
    if (!this.#started || this.#stopped) return;
    for (const entry of this.#ready) {
      if (this.#sending.size >= sendingMax) return;
      this.#ready.delete(entry);
      entry.state = 'sending';
      const sending = this.#send(entry);
      this.#sending.add(sending);
      // Never rejects. Removed here, not inside, because a turn cannot know its own promise.
      void sending.then(() => {
        this.#sending.delete(sending);
        this.#pump();
        this.#tellIdle();
      });
    }
  }

  async #send(entry: Entry): Promise<void> {
    const { queue } = entry;
    const result = await queue.takeTurn(() => !this.#stopped);
    if (this.#stopped) return;
    if (result.outcome === 'failed') {
      this.#fail(entry, result.error);
      return;
    }
    entry.failures = 0;
    // A poke between the queue's last look and this step left its mark.
    if (result.outcome === 'more' || queue.again) {
      entry.state = 'ready';
      this.#ready.add(entry);
      return;
    }
    this.#entries.delete(queue.destination);
    tellFlushed(entry);
    if (this.#overflowed && this.#entries.size < queuesMax / 2) this.#takeUpOverflow();
  }

  #fail(entry: Entry, error: unknown): void {
    const { destination } = entry.queue;
    const { clock, health, log, random } = this.#deps;
    entry.failures += 1;
    entry.hearingEndsRest = error instanceof FederationError && !isRefusal(error);
    const now = clock.now();
    const shared = health.mayTry(destination) ? 0 : (health.find(destination)?.retryAtMs ?? 0);
    const own = Math.max(backoffDelayMs(backoff, entry.failures, random), retryAfterMs(error));
    const until = shared > now ? shared : now + own;
    const fields = { destination, failures: entry.failures, retryInMs: until - now };
    if (error instanceof FederationError) log.info({ ...fields, reason: error.message }, 'a transaction failed');
    else log.error({ ...fields, err: error }, 'sending to a server failed on our side');
    this.#rest(entry, until);
  }

  #rest(entry: Entry, untilMs: number): void {
    entry.state = 'resting';
    entry.restsUntilMs = untilMs;
    tellFlushed(entry);
    this.#setRestTimer(untilMs);
  }

  #setRestTimer(untilMs: number): void {
    const now = this.#deps.clock.now();
    const atMs = Math.min(untilMs, now + restCheckMs);
    if (atMs >= this.#restTimerAtMs) return;
    this.#restTimer?.clear();
    this.#restTimerAtMs = atMs;
    this.#restTimer = this.#deps.clock.setTimer(Math.max(0, atMs - now), () => this.#endRests());
  }

  #endRests(): void {
    this.#restTimerAtMs = Number.POSITIVE_INFINITY;
    if (this.#stopped) return;
    const now = this.#deps.clock.now();
    let next = Number.POSITIVE_INFINITY;
    for (const entry of this.#entries.values()) {
      if (entry.state !== 'resting') continue;
      if (entry.restsUntilMs <= now) this.#makeReady(entry);
      else next = Math.min(next, entry.restsUntilMs);
    }
    if (next !== Number.POSITIVE_INFINITY) this.#setRestTimer(next);
  }

  #wake(destination: ServerName): void {
    const entry = this.#entries.get(destination);
    if (this.#stopped || entry?.state !== 'resting' || !entry.hearingEndsRest) return;
    entry.failures = 0;
    this.#makeReady(entry);
  }

  #takeUpOverflow(): void {
    this.#overflowed = false;
    const takeUp = async (): Promise<void> => {
      const pending = await this.#deps.storage.outgoing.listPendingDestinations();
      if (this.#stopped) return;
      const wasEmpty = this.#backlog.length === 0;
      this.#backlog.push(...pending);
      if (wasEmpty) this.#takeUpSlice();
    };
    takeUp().catch((err: unknown) => {
      this.#overflowed = true;
      this.#deps.log.error({ err }, 'destinations that wait in storage could not be listed');
    });
  }

  #tellIdle(): void {
    if (this.#isIdle()) for (const resolve of this.#idlers.splice(0)) resolve();
  }
}

function tellFlushed({ flushers }: Entry): void {
  for (const resolve of flushers.splice(0)) resolve();
}

/** It answered, and what it said will not change by itself. 429 and 5xx are a server in need. */
function isRefusal(error: FederationError): boolean {
  if (error.outcome !== 'refused') return error.outcome === 'bad_answer';
  const status = error.status ?? 0;
  return status < 500 && status !== 408 && status !== 429;
}

function retryAfterMs(error: unknown): number {
  if (!(error instanceof FederationError)) return 0;
  const asked = error.body?.retry_after_ms;
  return typeof asked === 'number' && asked > 0 ? Math.min(asked, backoff.maxMs) : 0;
}

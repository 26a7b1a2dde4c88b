import { assert } from '../../base/assert.ts';
import { type Backoff, backoffDelayMs } from '../../base/backoff.ts';
import { breathe } from '../../base/breathe.ts';
import type { Clock, Timer } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { Count } from '../../base/metrics.ts';
import { OutgoingHttpError } from '../../base/outgoing-http.ts';
import type { Random } from '../../base/random.ts';
import type { Row } from '../../storage/contract/commit.ts';
import type { Position } from '../../storage/contract/numbers.ts';
import type { ServiceReads, ServiceTransaction } from '../../storage/contract/services.ts';
import type { Storage } from '../../storage/contract/storage.ts';
import type { DeviceName } from '../../storage/contract/to-device.ts';
import type { CallService, ReachableService } from '../service-calls.ts';
import type { EphemeralParcel, EphemeralSource } from './ephemeral-source.ts';
import { type NewsDeps, readNews } from './news.ts';
import { transactionText } from './transaction.ts';
import { WaitingMessages } from './waiting-messages.ts';

const backoff: Backoff = { firstMs: 1_000, maxMs: 60 * 60 * 1000 };
/** A service that calls us while it refuses what we send is not tried more often. */
const tryEveryMs = 1_000;
/** What is ephemeral waits for so long, so that what changes often goes once. */
const ephemeralEveryMs = 1_000;
const ephemeralMax = 100;
const timeoutMs = 60_000;
/** A service that nothing concerned for so long is moved on in storage, so that the next start need not look so far back. */
const quietStretch = 10_000;

export interface QueueDeps extends NewsDeps {
  readonly storage: NewsDeps['storage'] & {
    readonly services: ServiceReads;
    readonly commit: Storage['commit'];
    position(): Position;
  };
  readonly call: CallService;
  readonly sources: readonly EphemeralSource[];
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Transactions by what became of them. */
  readonly transactions: Count;
}

/**
 * What one service is sent, one transaction at a time. It owns a place in the order of all that happened; nothing is kept for it beyond that and
 * the one transaction under way, whose content is stored before the first attempt and repeated exactly. What is ephemeral goes in transactions
 * of its own behind the rest, built anew for each attempt, so that a repetition never says what is not true any more.
 */
export class ServiceQueue {
  readonly service: ReachableService;
  readonly #deps: QueueDeps;
  readonly #messages: WaitingMessages;
  readonly #abandon = new AbortController();
  /** All up to here was told or is none of the service's business. */
  #readTo: Position = 0;
  #storedTo: Position = 0;
  /** A transaction is stored, and so is to be sent before anything else. */
  #isStored = true;
  /** All up to `#readTo` is all that there was, and since then only `#news` and what follows it may concern the service. */
  #isDrained = false;
  #news: Position | undefined;
  #again = false;
  #running: Promise<void> | undefined;
  #failures = 0;
  #failedAt = Number.NEGATIVE_INFINITY;
  /** The service called us since the attempt began. */
  #wasHeard = false;
  #ephemeralFrom = Number.NEGATIVE_INFINITY;
  #pause: Timer | undefined;
  #window: Timer | undefined;

  constructor(deps: QueueDeps, service: ReachableService) {
    this.#deps = deps;
    this.service = service;
    const isMine = ({ userId }: DeviceName): boolean => deps.interest.ownsUser(service, userId);
    this.#messages = new WaitingMessages({ storage: deps.storage, isMine });
  }

  /** Whether the last attempt failed. */
  get isFailing(): boolean {
    return this.#failures > 0;
  }

  /** Where the service stands. One that was never here before begins now. */
  async load(): Promise<void> {
    const { storage } = this.#deps;
    const stored = await storage.services.findProgress(this.service.id);
    this.#readTo = stored ?? storage.position();
    this.#storedTo = this.#readTo;
    if (stored === undefined) await this.#commit(this.#progressRow());
  }

  /** Something happened at this position that may concern the service. */
  noteNews(position: Position): void {
    this.#news ??= position;
    this.poke();
  }

  /** A message came for a device of one of its users. */
  noteMessage(device: DeviceName): void {
    this.#messages.note(device);
    this.poke();
  }

  /** There may be something to send. Cheap; does nothing while it backs off. */
  poke(): void {
    this.#again = true;
    if (this.#abandon.signal.aborted || this.#running !== undefined || this.#pause !== undefined) return;
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
      // Came at the last moment.
      if (this.#again) this.poke();
    });
  }

  /** The service called us: what waits for it is tried now, though not more often than once a second. */
  serviceIsBack(): void {
    this.#wasHeard = true;
    if (this.#pause === undefined) return;
    this.#failures = 0;
    this.#rest(Math.max(0, this.#failedAt + tryEveryMs - this.#deps.clock.monotonic()));
  }

  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  /** What has no answer yet is repeated, under the same id, after the next start. */
  async stop(): Promise<void> {
    this.#abandon.abort(new Error('the server stops'));
    this.#pause?.clear();
    this.#window?.clear();
    await this.idle();
    const isQuiet = this.#isDrained && this.#news === undefined;
    if (isQuiet) this.#readTo = Math.max(this.#readTo, this.#deps.storage.position());
    if (!this.#isStored && this.#readTo > this.#storedTo) await this.#commit(this.#progressRow());
  }

  async #run(): Promise<void> {
    await Promise.resolve();
    try {
      while (this.#again && !this.#abandon.signal.aborted) {
        this.#again = false;
        while (await this.#sendNext()) await breathe();
        while (await this.#sendEphemeral()) await breathe();
      }
    } catch (error) {
      if (!this.#abandon.signal.aborted) this.#fail(error);
    }
  }

  /** False when there is nothing durable to send. Throws when an attempt failed. */
  async #sendNext(): Promise<boolean> {
    if (this.#abandon.signal.aborted) return false;
    const { services } = this.#deps.storage;
    const stored = this.#isStored ? await services.findTransaction(this.service.id) : undefined;
    this.#isStored = stored !== undefined;
    if (stored) {
      await this.#deliver(stored);
      return true;
    }
    const transaction = await this.#buildNext();
    if (!transaction) return false;
    this.#isStored = true;
    await this.#commit({ kind: 'service_transaction', ...transaction });
    await this.#deliver(transaction);
    return true;
  }

  async #buildNext(): Promise<ServiceTransaction | undefined> {
    const { random, storage } = this.#deps;
    for (;;) {
      if (this.#isDrained && this.#news !== undefined) this.#readTo = Math.max(this.#readTo, this.#news - 1);
      const target = storage.position();
      // What is noted from here on may lie behind the target; what came before is read.
      this.#news = undefined;
      this.#isDrained = false;
      const news = await readNews(this.#deps, this.service, { after: this.#readTo, upTo: target });
      const messages = this.service.receiveEphemeral ? await this.#messages.read() : { texts: [], collected: [] };
      const { events, receipts, upTo } = news;
      this.#isDrained = upTo === target;
      if (events.length + receipts.length + messages.texts.length > 0) {
        return {
          serviceId: this.service.id,
          transactionId: random.token(24),
          body: transactionText({ events, ephemeral: receipts, toDevice: messages.texts }),
          upTo,
          collected: messages.collected,
        };
      }
      this.#readTo = upTo;
      if (this.#readTo - this.#storedTo > quietStretch) await this.#commit(this.#progressRow());
      if (this.#isDrained || this.#abandon.signal.aborted) return undefined;
      await breathe();
    }
  }

  async #deliver({ transactionId, body, upTo }: ServiceTransaction): Promise<void> {
    await this.#attempt(transactionId, body);
    await this.#commit({ kind: 'service_delivered', serviceId: this.service.id, transactionId });
    this.#isStored = false;
    this.#readTo = upTo;
    this.#storedTo = upTo;
  }

  /** False when there is nothing ephemeral to send now. Throws when the attempt failed. */
  async #sendEphemeral(): Promise<boolean> {
    const { sources, clock, random } = this.#deps;
    const { id } = this.service;
    const pending = sources.filter((source) => source.hasPending(id));
    if (pending.length === 0 || this.#again || this.#abandon.signal.aborted) return false;
    const waitMs = this.#ephemeralFrom - clock.monotonic();
    if (waitMs > 0) {
      this.#window ??= clock.setTimer(waitMs, () => {
        this.#window = undefined;
        this.poke();
      });
      return false;
    }
    const parcels: EphemeralParcel[] = [];
    const events: string[] = [];
    let isTaken = false;
    try {
      for (const source of pending) {
        if (events.length >= ephemeralMax) break;
        const parcel = await source.take(id, ephemeralMax - events.length);
        parcels.push(parcel);
        events.push(...parcel.events);
      }
      if (events.length > 0) {
        this.#ephemeralFrom = clock.monotonic() + ephemeralEveryMs;
        await this.#attempt(random.token(24), transactionText({ ephemeral: events }));
      }
      isTaken = true;
    } finally {
      for (const parcel of parcels) parcel[isTaken ? 'accepted' : 'refused']();
    }
    return true;
  }

  /** Throws when the service does not take it. */
  async #attempt(transactionId: string, bodyText: string): Promise<void> {
    const { call, transactions, log } = this.#deps;
    const { signal } = this.#abandon;
    this.#wasHeard = false;
    signal.throwIfAborted();
    const path = `/transactions/${transactionId}`;
    let isTaken = false;
    try {
      const { status } = await call(this.service, {
        method: 'PUT',
        path,
        legacyPath: path,
        bodyText,
        timeoutMs,
        signal,
      });
      if (status !== 200) throw new RefusedError(`it answers ${status}`);
      isTaken = true;
    } finally {
      transactions.add(1, isTaken ? 'taken' : 'failed');
    }
    signal.throwIfAborted();
    if (this.#failures > 0) log.info({ service: this.service.id }, 'an application service takes transactions again');
    this.#failures = 0;
  }

  #fail(error: unknown): void {
    const { log, random, clock } = this.#deps;
    this.#failures = this.#wasHeard ? 1 : this.#failures + 1;
    this.#failedAt = clock.monotonic();
    const retryInMs = backoffDelayMs(backoff, this.#failures, random);
    const fields = { service: this.service.id, failures: this.#failures, retryInMs };
    if (error instanceof OutgoingHttpError || error instanceof RefusedError)
      log.info({ ...fields, reason: error.message }, 'an application service did not take a transaction');
    else log.error({ ...fields, err: error }, 'sending to an application service failed on our side');
    this.#again = true;
    this.#rest(retryInMs);
  }

  #rest(ms: number): void {
    this.#pause?.clear();
    this.#pause = this.#deps.clock.setTimer(ms, () => {
      this.#pause = undefined;
      this.poke();
    });
  }

  #progressRow(): Row {
    this.#storedTo = this.#readTo;
    return { kind: 'service_progress', serviceId: this.service.id, position: this.#readTo };
  }

  async #commit(row: Row): Promise<void> {
    const result = await this.#deps.storage.commit({ rows: [row] });
    assert(result.outcome === 'committed', 'a batch that expects nothing is never refused');
  }
}

/** It answered, and not that it took it. */
class RefusedError extends Error {}

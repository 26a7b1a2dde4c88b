import { assert } from '../../base/assert.ts';
import { breathe } from '../../base/breathe.ts';
import type { Row } from '../../storage/contract/commit.ts';
import type { Position } from '../../storage/contract/numbers.ts';
import type { ServiceReads, ServiceTransaction } from '../../storage/contract/services.ts';
import type { Storage } from '../../storage/contract/storage.ts';
import type { DeviceName } from '../../storage/contract/to-device.ts';
import type { ReachableService } from '../service-calls.ts';
import { Attempts, type AttemptsDeps } from './attempts.ts';
import { EphemeralSending, type EphemeralSendingDeps } from './ephemeral-sending.ts';
import { type NewsDeps, readNews } from './news.ts';
import { transactionText } from './transaction.ts';
import { WaitingMessages } from './waiting-messages.ts';

/** A service that nothing concerned for so long is moved on in storage, so that the next start need not look so far back. */
const quietStretch = 10_000;

export type QueueDeps = NewsDeps &
  AttemptsDeps &
  EphemeralSendingDeps & {
    readonly storage: NewsDeps['storage'] & {
      readonly services: ServiceReads;
      readonly commit: Storage['commit'];
      position(): Position;
    };
  };

/**
 * What one service is sent, one transaction at a time. It owns a place in the order of all that happened; nothing is kept for it beyond that and
 * the one transaction under way, whose content is stored before the first attempt and repeated exactly. What is ephemeral goes in transactions
 * of its own behind the rest, built anew for each attempt, so that a repetition never says what is not true any more.
 */
export class ServiceQueue {
  readonly service: ReachableService;
  readonly #deps: QueueDeps;
  readonly #messages: WaitingMessages;
  readonly #attempts: Attempts;
  readonly #ephemeral: EphemeralSending;
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

  constructor(deps: QueueDeps, service: ReachableService) {
    this.#deps = deps;
    this.service = service;
    const isMine = ({ userId }: DeviceName): boolean => deps.interest.ownsUser(service, userId);
    this.#messages = new WaitingMessages({ storage: deps.storage, isMine });
    const onReady = (): void => this.poke();
    this.#attempts = new Attempts(deps, { service, signal: this.#abandon.signal, onReady });
    this.#ephemeral = new EphemeralSending(deps, { service, attempts: this.#attempts, onReady });
  }

  /** Whether the last attempt failed. */
  get isFailing(): boolean {
    return this.#attempts.isFailing;
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
    if (this.#abandon.signal.aborted || this.#running !== undefined || this.#attempts.isPaused) return;
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
      // Came at the last moment.
      if (this.#again) this.poke();
    });
  }

  /** The service called us: what waits for it is tried now, though not more often than once a second. */
  serviceIsBack(): void {
    this.#attempts.heard();
  }

  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  /** What has no answer yet is repeated, under the same id, after the next start. */
  async stop(): Promise<void> {
    this.#abandon.abort(new Error('the server stops'));
    this.#attempts.stop();
    this.#ephemeral.stop();
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
        // What must not be lost goes before what must not be late.
        while (!this.#again && !this.#abandon.signal.aborted && (await this.#ephemeral.sendNext())) await breathe();
      }
    } catch (error) {
      if (this.#abandon.signal.aborted) return;
      this.#again = true;
      // What was read may be stored nowhere: it is read again from where the service stands.
      this.#isDrained = false;
      this.#attempts.pauseAfter(error);
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
          body: transactionText(this.service, { events, ephemeral: receipts, toDevice: messages.texts }),
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
    await this.#attempts.attempt(transactionId, body);
    await this.#commit({ kind: 'service_delivered', serviceId: this.service.id, transactionId });
    this.#isStored = false;
    this.#readTo = upTo;
    this.#storedTo = upTo;
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

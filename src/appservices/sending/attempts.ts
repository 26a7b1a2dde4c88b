import type { Clock, Timer } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { Count } from '../../base/metrics.ts';
import { OutgoingHttpError } from '../../base/network/outgoing-http.ts';
import type { Random } from '../../base/random.ts';
import { type Backoff, backoffDelayMs } from '../../base/tasks/backoff.ts';
import type { CallService, ReachableService } from '../service-calls.ts';

const backoff: Backoff = { firstMs: 1_000, maxMs: 60 * 60 * 1000 };
/** A service that calls us while it refuses what we send is not tried more often. */
const tryEveryMs = 1_000;
const timeoutMs = 60_000;

export interface AttemptsDeps {
  readonly call: CallService;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Transactions by what became of them. */
  readonly transactions: Count;
}

/** The attempts to have one service take transactions, and the pauses behind those that failed. */
export class Attempts {
  readonly #deps: AttemptsDeps;
  readonly #service: ReachableService;
  readonly #signal: AbortSignal;
  /** A pause is over. */
  readonly #onReady: () => void;
  #failures = 0;
  #failedAt = Number.NEGATIVE_INFINITY;
  /** The service called us since the attempt began. */
  #wasHeard = false;
  #pause: Timer | undefined;

  constructor(deps: AttemptsDeps, parts: { service: ReachableService; signal: AbortSignal; onReady: () => void }) {
    this.#deps = deps;
    this.#service = parts.service;
    this.#signal = parts.signal;
    this.#onReady = parts.onReady;
  }

  /** Whether the last attempt failed. */
  get isFailing(): boolean {
    return this.#failures > 0;
  }

  get isPaused(): boolean {
    return this.#pause !== undefined;
  }

  /** Throws when the service does not take it. */
  async attempt(transactionId: string, bodyText: string): Promise<void> {
    const { call, transactions, log } = this.#deps;
    const signal = this.#signal;
    this.#wasHeard = false;
    signal.throwIfAborted();
    const path = `/transactions/${transactionId}`;
    let isTaken = false;
    try {
      const request = { method: 'PUT', path, legacyPath: path, bodyText, timeoutMs, signal } as const;
      const { status } = await call(this.#service, request);
      if (status !== 200) throw new RefusedError(`it answers ${status}`);
      isTaken = true;
    } finally {
      transactions.add(1, isTaken ? 'taken' : 'failed');
    }
    signal.throwIfAborted();
    if (this.#failures > 0) log.info({ service: this.#service.id }, 'an application service takes transactions again');
    this.#failures = 0;
  }

  /** Pauses after an attempt, or what led to it, has thrown: the longer the more have failed. */
  pauseAfter(error: unknown): void {
    const { log, random, clock } = this.#deps;
    this.#failures = this.#wasHeard ? 1 : this.#failures + 1;
    this.#failedAt = clock.monotonic();
    const retryInMs = backoffDelayMs(backoff, this.#failures, random);
    const fields = { service: this.#service.id, failures: this.#failures, retryInMs };
    if (error instanceof OutgoingHttpError || error instanceof RefusedError)
      log.info({ ...fields, reason: error.message }, 'an application service did not take a transaction');
    else log.error({ ...fields, err: error }, 'sending to an application service failed on our side');
    this.#rest(retryInMs);
  }

  /** The service called us: a pause ends now, though there is no more than one attempt a second. */
  heard(): void {
    this.#wasHeard = true;
    if (this.#pause === undefined) return;
    this.#failures = 0;
    this.#rest(Math.max(0, this.#failedAt + tryEveryMs - this.#deps.clock.monotonic()));
  }

  stop(): void {
    this.#pause?.clear();
  }

  #rest(ms: number): void {
    this.#pause?.clear();
    this.#pause = this.#deps.clock.setTimer(ms, () => {
      this.#pause = undefined;
      this.#onReady();
    });
  }
}

/** It answered, and not that it took it. */
class RefusedError extends Error {}

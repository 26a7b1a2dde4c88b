import type { Clock, Timer } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import type { Registration } from '../registration.ts';
import type { Attempts } from './attempts.ts';
import type { EphemeralParcel, EphemeralSource } from './ephemeral-source.ts';
import { transactionText } from './transaction.ts';

/** What changes often goes once in so long. */
const everyMs = 1_000;
const entriesMax = 100;

export interface EphemeralSendingDeps {
  readonly sources: readonly EphemeralSource[];
  readonly clock: Clock;
  readonly random: Random;
}

/** Sends one service what is ephemeral, in transactions of its own that are built anew for each attempt. */
export class EphemeralSending {
  readonly #deps: EphemeralSendingDeps;
  readonly #service: Registration;
  readonly #attempts: Attempts;
  /** The wait between two of them is over. */
  readonly #onReady: () => void;
  #earliestAt = Number.NEGATIVE_INFINITY;
  #window: Timer | undefined;

  constructor(
    deps: EphemeralSendingDeps,
    parts: { readonly service: Registration; readonly attempts: Attempts; readonly onReady: () => void },
  ) {
    this.#deps = deps;
    this.#service = parts.service;
    this.#attempts = parts.attempts;
    this.#onReady = parts.onReady;
  }

  /** False when there is nothing to send now. Throws when the attempt failed. */
  async sendNext(): Promise<boolean> {
    const { sources, clock, random } = this.#deps;
    const pending = sources.filter((source) => source.hasPending(this.#service.id));
    if (pending.length === 0) return false;
    const waitMs = this.#earliestAt - clock.monotonic();
    if (waitMs > 0) {
      this.#window ??= clock.setTimer(waitMs, () => {
        this.#window = undefined;
        this.#onReady();
      });
      return false;
    }
    const parcels: EphemeralParcel[] = [];
    const events: string[] = [];
    let isTaken = false;
    try {
      for (const source of pending) {
        if (events.length >= entriesMax) break;
        const parcel = await source.take(this.#service.id, entriesMax - events.length);
        parcels.push(parcel);
        events.push(...parcel.events);
      }
      if (events.length > 0) {
        this.#earliestAt = clock.monotonic() + everyMs;
        await this.#attempts.attempt(random.token(24), transactionText(this.#service, { ephemeral: events }));
      }
      isTaken = true;
    } finally {
      for (const parcel of parcels) parcel[isTaken ? 'accepted' : 'refused']();
    }
    return true;
  }

  stop(): void {
    this.#window?.clear();
  }
}

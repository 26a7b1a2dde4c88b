import type { Clock } from '../../base/clock.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import type { PresenceSettings } from '../settings.ts';
import { Destination } from './destination.ts';
import { WakeUps } from './wake-ups.ts';

/** No destination gets presence more often, whatever it is. */
const urgentEveryMs = 1_000;
/** Destinations for which the window is not made longer. */
const destinationsPerWindow = 20;

export interface DestinationsDeps {
  clock: Clock;
  settings: Pick<PresenceSettings, 'windowMs' | 'windowMaxMs'>;
  /** Has the destination come and take what waits for it. */
  poke(destination: ServerName): void;
}

/** The other servers that are to be told of somebody or hold something, and the pace at which each is told. */
export class Destinations {
  readonly #deps: DestinationsDeps;
  readonly #entries = new Map<ServerName, Destination>();
  readonly #wakeUps: WakeUps;
  #stopped = false;

  constructor(deps: DestinationsDeps) {
    this.#deps = deps;
    this.#wakeUps = new WakeUps({
      clock: deps.clock,
      isWaiting: (name) => this.#isWaiting(name),
      poke: (name) => deps.poke(name),
    });
  }

  /** Undefined for a server that waits for nothing and holds nothing. */
  find(name: ServerName): Destination | undefined {
    return this.#entries.get(name);
  }

  /** A new one where there is none. */
  of(name: ServerName): Destination {
    let entry = this.#entries.get(name);
    if (!entry) {
      entry = new Destination();
      this.#entries.set(name, entry);
    }
    return entry;
  }

  [Symbol.iterator](): IterableIterator<[ServerName, Destination]> {
    return this.#entries[Symbol.iterator]();
  }

  /** Whether something waits for the destination, and its time has come. */
  isDue(name: ServerName): boolean {
    const entry = this.#entries.get(name);
    if (!entry?.isWaiting || entry.inFlight || this.#stopped) return false;
    return this.#dueAt(entry) <= this.#deps.clock.monotonic();
  }

  /** Something has come to wait for the destination. */
  schedule(name: ServerName): void {
    const entry = this.#entries.get(name);
    if (this.#stopped || !entry || entry.inFlight || !entry.isWaiting) return;
    this.#wakeUps.set(name, this.#dueAt(entry));
  }

  /** A transaction there has ended. */
  settle(name: ServerName): void {
    const entry = this.#entries.get(name);
    if (!entry) return;
    if (entry.isWaiting) this.schedule(name);
    // How lately something was sent is remembered for as long as it forbids sending.
    else this.#wakeUps.set(name, entry.isEmpty ? this.#dueAt(entry) : undefined);
  }

  /** Nobody is woken any more. */
  stop(): void {
    this.#stopped = true;
    this.#wakeUps.stop();
  }

  /** One that waits for nothing and holds nothing is forgotten when its time has come. */
  #isWaiting(name: ServerName): boolean {
    const entry = this.#entries.get(name);
    if (entry?.isEmpty) this.#entries.delete(name);
    return entry?.isWaiting ?? false;
  }

  #dueAt(entry: Destination): number {
    const pause = entry.urgent && entry.failures === 0 ? urgentEveryMs : Math.max(urgentEveryMs, this.#windowMs(entry));
    return entry.lastSentAt + pause;
  }

  /** "Transactions are bounded by destinations ÷ window": it grows with their number and with failures. */
  #windowMs(entry: Destination): number {
    const { windowMs, windowMaxMs } = this.#deps.settings;
    const crowded = windowMs * Math.max(1, this.#entries.size / destinationsPerWindow);
    return Math.min(windowMaxMs, crowded * 2 ** Math.min(entry.failures, 10));
  }
}

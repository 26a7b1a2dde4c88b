import { breathe } from '../../base/breathe.ts';
import type { Clock, Timer } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import type { Background } from '../../base/tasks/background.ts';
import type { UserId } from '../../matrix/ids.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import type { Shown } from '../core/shown.ts';
import type { PresenceSettings } from '../settings.ts';
import type { Held } from './destination.ts';
import type { Destinations } from './destinations.ts';

const lookEveryMs = 30_000;
/** After a start, the copies that peers hold are renewed within this time: how old they are is not known. */
const afterStartMs = 240_000;

export interface RenewalsDeps {
  destinations: Destinations;
  clock: Clock;
  random: Random;
  background: Background;
  settings: Pick<PresenceSettings, 'keepAliveMinMs' | 'keepAliveMaxMs' | 'windowMaxMs' | 'restartGraceMs'>;
  /** Whoever is offline expires nowhere, and is not sent again. */
  isOffline(subject: UserId): boolean;
  /** The destination is to be told of the subject again, though nothing changed. */
  renew(destination: ServerName, subject: UserId): void;
}

/** Peers take a subject for offline half an hour after the last update, so what they hold is sent again before. */
export class Renewals {
  readonly #deps: RenewalsDeps;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(deps: RenewalsDeps) {
    this.#deps = deps;
  }

  /** The destination has just taken this of the subject, whole. */
  noteHeld(destination: ServerName, subject: UserId, held: { readonly whole: boolean; readonly shown: Shown }): void {
    const { settings } = this.#deps;
    // The rest of the time is for the look that finds it, and for the window.
    const spread = settings.keepAliveMaxMs - settings.keepAliveMinMs - lookEveryMs - settings.windowMaxMs;
    this.#put(destination, subject, { ...held, renewAt: this.#within(settings.keepAliveMinMs, Math.max(0, spread)) });
  }

  /** After a start: what an earlier process sent grows old there, nobody knows since when. */
  assumeHeld(destination: ServerName, subject: UserId): void {
    const renewAt = this.#within(this.#deps.settings.restartGraceMs, afterStartMs);
    this.#put(destination, subject, { whole: true, shown: null, renewAt });
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.clear();
  }

  #put(destination: ServerName, subject: UserId, held: Held): void {
    this.#deps.destinations.of(destination).held.set(subject, held);
    this.#arm();
  }

  #within(leastMs: number, spreadMs: number): number {
    return this.#deps.clock.monotonic() + leastMs + this.#deps.random.fraction() * spreadMs;
  }

  #arm(): void {
    if (this.#timer || this.#stopped) return;
    this.#timer = this.#deps.clock.setTimer(lookEveryMs, () => {
      this.#timer = undefined;
      this.#deps.background.run('renew presence at other servers', () => this.#look());
    });
  }

  async #look(): Promise<void> {
    const now = this.#deps.clock.monotonic();
    let any = false;
    for (const [destination, entry] of [...this.#deps.destinations]) {
      await breathe();
      for (const [subject, { renewAt }] of entry.held) {
        if (this.#deps.isOffline(subject)) continue;
        any = true;
        if (renewAt <= now && !entry.marks.has(subject)) this.#deps.renew(destination, subject);
      }
    }
    if (any) this.#arm();
  }
}

import type { Clock, Timer } from '../../base/clock.ts';
import { Sweeper } from '../../base/tasks/sweeper.ts';
import type { ServerName } from '../../matrix/server-name.ts';

/** Wake-ups are spread: so many at once, then a pause. */
const wakeSlice = 10;
const wakePauseMs = 10;
/** A destination that did not come for its presence is reminded; then ever more rarely. */
const remindMs = 30_000;
const remindMaxMs = 600_000;

export interface WakeUpsDeps {
  clock: Clock;
  /** Whether there is still something to come for; asked when the time has come. */
  isWaiting(destination: ServerName): boolean;
  /** Has the destination come and take what waits for it. */
  poke(destination: ServerName): void;
}

/** When each destination is to come for its presence. Many that are due at once are woken one slice after the other. */
export class WakeUps {
  readonly #deps: WakeUpsDeps;
  readonly #due: Sweeper<ServerName>;
  /** How long the next reminder waits. */
  readonly #reminders = new Map<ServerName, number>();
  readonly #toWake = new Set<ServerName>();
  #timer: Timer | undefined;
  #stopped = false;

  constructor(deps: WakeUpsDeps) {
    this.#deps = deps;
    this.#due = new Sweeper({ clock: deps.clock, onDue: (destination) => this.#wake(destination) });
  }

  /** Undefined: not until it is set again. */
  set(destination: ServerName, at: number | undefined): void {
    this.#reminders.delete(destination);
    this.#due.set(destination, at === undefined ? undefined : Math.max(this.#deps.clock.monotonic(), at));
  }

  stop(): void {
    this.#stopped = true;
    this.#due.stop();
    this.#timer?.clear();
  }

  #wake(destination: ServerName): void {
    if (!this.#deps.isWaiting(destination)) return;
    this.#toWake.add(destination);
    if (!this.#timer) this.#wakeSome();
  }

  #wakeSome(): void {
    this.#timer = undefined;
    if (this.#stopped) return;
    let count = 0;
    for (const destination of this.#toWake) {
      if (count >= wakeSlice) break;
      count += 1;
      this.#toWake.delete(destination);
      this.#remindLater(destination);
      this.#deps.poke(destination);
    }
    if (count > 0) this.#timer = this.#deps.clock.setTimer(wakePauseMs, () => this.#wakeSome());
  }

  #remindLater(destination: ServerName): void {
    const wait = this.#reminders.get(destination) ?? remindMs;
    this.#reminders.set(destination, Math.min(remindMaxMs, wait * 2));
    this.#due.set(destination, this.#deps.clock.monotonic() + wait);
  }
}

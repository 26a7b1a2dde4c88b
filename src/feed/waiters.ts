import { breathe } from '../base/breathe.ts';
import type { Clock } from '../base/clock.ts';
import { ManyByKey } from '../base/many-by-key.ts';
import type { EndSignal } from '../base/tasks/ending.ts';
import { Sweeper } from '../base/tasks/sweeper.ts';
import type { UserId } from '../matrix/ids.ts';
import type { WaitEnd, Waiters, WaitTicket } from './feed.ts';

/** Waits of one user at once; with a further one the oldest ends, as if its time were over. */
const waitsPerUserMax = 32;
/**
 * Long waits may end a little early, at the marks of a ruler: the longest have the coarsest. A process that sleeps between two answers pays more for
 * waking up, with caches that others used meanwhile, than for the answer; many at once cost a third each. Shorter waits end when they should.
 */
const rulers: readonly { readonly fromMs: number; readonly slotMs: number }[] = [
  { fromMs: 10_000, slotMs: 500 },
  { fromMs: 1_000, slotMs: 50 },
];
/** Waits that were woken before they may end do so at the marks of this one. */
const openingSlotMs = 10;
/** Waits that end without a look at how long the turn lasts. */
const endedAtOnce = 50;
/**
 * Wakes are counted in this many counters, users sharing them by a hash of their id. A wake of somebody else who shares the
 * counter, between ticket and wait, ends that wait early: its sync reads once in vain. In return nothing is kept for a
 * user who is not waiting.
 */
const countersLength = 65_536;

/** One long-poll. It is its own listener for the abort, so that waiting costs one object. */
class Wait {
  readonly userId: UserId;
  readonly notBeforeMs: number;
  /** Where it stands among those that end by time. */
  slot: number;
  /** It ends when it may. */
  isWoken: boolean;
  readonly #signal: EndSignal;
  readonly #resolve: (woken: boolean) => void;
  readonly #owner: WaitersInMemory;

  constructor(
    owner: WaitersInMemory,
    what: { userId: UserId; notBeforeMs: number; slot: number; isWoken: boolean; signal: EndSignal },
    resolve: (woken: boolean) => void,
  ) {
    this.#owner = owner;
    this.userId = what.userId;
    this.notBeforeMs = what.notBeforeMs;
    this.slot = what.slot;
    this.isWoken = what.isWoken;
    this.#signal = what.signal;
    this.#resolve = resolve;
    this.#signal.addEventListener('abort', this);
  }

  handleEvent(): void {
    this.#owner.end(this, false);
  }

  settle(woken: boolean): void {
    this.#signal.removeEventListener('abort', this);
    this.#resolve(woken);
  }
}

class WaitersInMemory implements Waiters {
  readonly #clock: Clock;
  readonly #counters = new Uint32Array(countersLength);
  /** Only users who wait now. */
  readonly #byUser = new ManyByKey<UserId, Wait>();
  /** Waits by the moment at which they end, in milliseconds of the monotonic clock. */
  readonly #bySlot = new Map<number, Set<Wait>>();
  readonly #slots: Sweeper<number>;
  #stopped = false;

  constructor(deps: { clock: Clock }) {
    this.#clock = deps.clock;
    this.#slots = new Sweeper({ clock: deps.clock, onDue: (slot) => void this.#endSlot(slot) });
  }

  ticket(userId: UserId): WaitTicket {
    return { userId, generation: this.#counters[counterOf(userId)] ?? 0 };
  }

  wait({ userId, generation }: WaitTicket, until: WaitEnd): Promise<boolean> {
    const { timeoutMs, signal, notBeforeMs = 0 } = until;
    const isWoken = until.isWoken === true || this.#counters[counterOf(userId)] !== generation;
    const now = this.#clock.monotonic();
    if (isWoken && notBeforeMs <= now) return Promise.resolve(true);
    if (this.#stopped || signal.aborted || timeoutMs <= 0) return Promise.resolve(false);
    const slot = isWoken ? openingSlot(notBeforeMs) : slotBefore(now + timeoutMs, timeoutMs);
    return new Promise((resolve) => {
      this.#begin(new Wait(this, { userId, notBeforeMs, slot, isWoken, signal }, resolve));
    });
  }

  wake(userId: UserId): void {
    const counter = counterOf(userId);
    this.#counters[counter] = (this.#counters[counter] ?? 0) + 1;
    const waits = this.#byUser.list(userId);
    if (waits.length === 0) return;
    const now = this.#clock.monotonic();
    for (const wait of waits) {
      if (wait.notBeforeMs <= now) this.end(wait, true);
      else if (!wait.isWoken) this.#hold(wait);
    }
  }

  stop(): void {
    this.#stopped = true;
    for (const userId of [...this.#byUser.keys()]) for (const wait of this.#byUser.list(userId)) this.end(wait, false);
    this.#slots.stop();
  }

  end(wait: Wait, woken: boolean): void {
    if (!this.#byUser.delete(wait.userId, wait)) return;
    this.#takeFromSlot(wait);
    wait.settle(woken);
  }

  #begin(wait: Wait): void {
    const count = this.#byUser.add(wait.userId, wait);
    this.#place(wait);
    if (count <= waitsPerUserMax) return;
    const [oldest] = this.#byUser.list(wait.userId);
    if (oldest) this.end(oldest, false);
  }

  #place(wait: Wait): void {
    const waits = this.#bySlot.get(wait.slot);
    if (waits !== undefined) {
      waits.add(wait);
      return;
    }
    this.#bySlot.set(wait.slot, new Set([wait]));
    if (this.#slots.timeOf(wait.slot) === undefined) this.#slots.set(wait.slot, wait.slot);
  }

  #takeFromSlot(wait: Wait): void {
    const waits = this.#bySlot.get(wait.slot);
    if (waits?.delete(wait) && waits.size === 0) this.#bySlot.delete(wait.slot);
  }

  /** Until it may end. */
  #hold(wait: Wait): void {
    this.#takeFromSlot(wait);
    wait.isWoken = true;
    wait.slot = openingSlot(wait.notBeforeMs);
    this.#place(wait);
  }

  /**
   * Who was woken ends at once: held back once more, readers would lag behind those who write. Of those whose time is over many end in one moment when
   * they began in one, such as after a restart. A slot is found empty when all in it were woken before.
   */
  async #endSlot(slot: number): Promise<void> {
    let ended = 0;
    for (const wait of [...(this.#bySlot.get(slot) ?? [])]) {
      this.end(wait, wait.isWoken);
      if (wait.isWoken) continue;
      ended += 1;
      if (ended % endedAtOnce === 0) await breathe();
    }
  }
}

function slotBefore(endsAtMs: number, timeoutMs: number): number {
  const ruler = rulers.find(({ fromMs }) => timeoutMs >= fromMs);
  return ruler === undefined ? endsAtMs : Math.floor(endsAtMs / ruler.slotMs) * ruler.slotMs;
}

function openingSlot(notBeforeMs: number): number {
  return Math.ceil(notBeforeMs / openingSlotMs) * openingSlotMs;
}

const colon = 58;

/** FNV-1a over the UTF-16 units of the name: whoever waits is of this server. */
function counterOf(userId: UserId): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < userId.length; index += 1) {
    const unit = userId.charCodeAt(index);
    if (unit === colon) break;
    hash = Math.imul(hash ^ unit, 0x01000193);
  }
  return (hash >>> 0) % countersLength;
}

/** Long-polls of this process. A waiting user costs a map entry and an object for each wait; nobody else costs anything. */
export function createWaiters(deps: { clock: Clock }): Waiters {
  return new WaitersInMemory(deps);
}

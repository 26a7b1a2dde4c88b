import type { Clock, Timer } from '../base/clock.ts';
import type { EndSignal } from '../base/ending.ts';
import type { UserId } from '../matrix/ids.ts';
import type { Waiters, WaitTicket } from './feed.ts';

/** Waits of one user at once; with a further one the oldest ends, as if its time were over. */
const waitsPerUserMax = 32;
/** Waits of at least this length may end up to `slotMs` early, so that many share one timer. */
const slottedFromMs = 1_000;
const slotMs = 50;
/**
 * Wakes are counted in this many counters, users sharing them by a hash of their id. A wake of somebody else who shares the
 * counter, between ticket and wait, ends that wait early: its sync reads once in vain. In return nothing is kept for a
 * user who is not waiting.
 */
const countersLength = 65_536;

/** One long-poll. It is its own listener for the abort, so that waiting costs one object. */
class Wait {
  readonly userId: UserId;
  readonly slot: number;
  readonly signal: EndSignal;
  readonly #resolve: (woken: boolean) => void;
  readonly #owner: WaitersInMemory;

  constructor(
    owner: WaitersInMemory,
    what: { userId: UserId; slot: number; signal: EndSignal },
    resolve: (woken: boolean) => void,
  ) {
    this.#owner = owner;
    this.userId = what.userId;
    this.slot = what.slot;
    this.signal = what.signal;
    this.#resolve = resolve;
    this.signal.addEventListener('abort', this);
  }

  handleEvent(): void {
    this.#owner.end(this, false);
  }

  settle(woken: boolean): void {
    this.signal.removeEventListener('abort', this);
    this.#resolve(woken);
  }
}

class WaitersInMemory implements Waiters {
  readonly #clock: Clock;
  readonly #counters = new Uint32Array(countersLength);
  /** Only users who wait now. */
  readonly #byUser = new Map<UserId, Set<Wait>>();
  /** Waits by the moment at which they end, in milliseconds of the monotonic clock. */
  readonly #bySlot = new Map<number, Set<Wait>>();
  #timer: Timer | undefined;
  #timerSlot = Number.POSITIVE_INFINITY;
  #stopped = false;

  constructor(deps: { clock: Clock }) {
    this.#clock = deps.clock;
  }

  ticket(userId: UserId): WaitTicket {
    return { userId, generation: this.#counters[counterOf(userId)] ?? 0 };
  }

  wait(ticket: WaitTicket, timeoutMs: number, signal: EndSignal): Promise<boolean> {
    const { userId } = ticket;
    if (this.#counters[counterOf(userId)] !== ticket.generation) return Promise.resolve(true);
    if (this.#stopped || signal.aborted || timeoutMs <= 0) return Promise.resolve(false);
    return new Promise((resolve) => {
      this.#begin(new Wait(this, { userId, slot: this.#slotAfter(timeoutMs), signal }, resolve));
    });
  }

  wake(userId: UserId): void {
    const counter = counterOf(userId);
    this.#counters[counter] = (this.#counters[counter] ?? 0) + 1;
    const waits = this.#byUser.get(userId);
    if (waits) for (const wait of [...waits]) this.end(wait, true);
  }

  stop(): void {
    this.#stopped = true;
    for (const waits of [...this.#byUser.values()]) for (const wait of [...waits]) this.end(wait, false);
    this.#timer?.clear();
  }

  end(wait: Wait, woken: boolean): void {
    if (!removeFrom(this.#byUser, wait.userId, wait)) return;
    removeFrom(this.#bySlot, wait.slot, wait);
    wait.settle(woken);
  }

  #begin(wait: Wait): void {
    const waits = addTo(this.#byUser, wait.userId, wait);
    addTo(this.#bySlot, wait.slot, wait);
    if (wait.slot < this.#timerSlot) this.#setTimer(wait.slot);
    if (waits.size <= waitsPerUserMax) return;
    const [oldest] = waits;
    if (oldest) this.end(oldest, false);
  }

  #slotAfter(timeoutMs: number): number {
    const endsAt = this.#clock.monotonic() + timeoutMs;
    return timeoutMs < slottedFromMs ? endsAt : Math.floor(endsAt / slotMs) * slotMs;
  }

  /** One timer for everybody. It may find its slot empty, when all who waited for it were woken before. */
  #setTimer(slot: number): void {
    this.#timer?.clear();
    this.#timerSlot = slot;
    this.#timer = this.#clock.setTimer(Math.max(0, slot - this.#clock.monotonic()), () => this.#endDue());
  }

  #endDue(): void {
    this.#timerSlot = Number.POSITIVE_INFINITY;
    // The machine's timers may fire a fraction of a millisecond before their time.
    const now = this.#clock.monotonic() + 1;
    let next = Number.POSITIVE_INFINITY;
    for (const [slot, waits] of [...this.#bySlot]) {
      if (slot > now) next = Math.min(next, slot);
      else for (const wait of [...waits]) this.end(wait, false);
    }
    if (next !== Number.POSITIVE_INFINITY) this.#setTimer(next);
  }
}

function addTo<K>(map: Map<K, Set<Wait>>, key: K, wait: Wait): Set<Wait> {
  let waits = map.get(key);
  if (!waits) {
    waits = new Set();
    map.set(key, waits);
  }
  return waits.add(wait);
}

function removeFrom<K>(map: Map<K, Set<Wait>>, key: K, wait: Wait): boolean {
  const waits = map.get(key);
  if (!waits?.delete(wait)) return false;
  if (waits.size === 0) map.delete(key);
  return true;
}

/** FNV-1a over the UTF-16 units. */
function counterOf(userId: UserId): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < userId.length; index += 1) {
    hash = Math.imul(hash ^ userId.charCodeAt(index), 0x01000193);
  }
  return (hash >>> 0) % countersLength;
}

/** Long-polls of this process. A waiting user costs a map entry and an object for each wait; nobody else costs anything. */
export function createWaiters(deps: { clock: Clock }): Waiters {
  return new WaitersInMemory(deps);
}

import type { Clock, Timer } from '../clock.ts';

/** Timers of the machine count in 31 bits; what is due later is looked at again in between. */
const timerMaxMs = 86_400_000;

/**
 * Keys with a time each, and one timer for all of them. Each key has one time, the last one given. Due keys are handed out in
 * order of their times, all that are due in one turn. `monotonic` times.
 */
export class Sweeper<Key> {
  readonly #clock: Clock;
  readonly #onDue: (key: Key) => void;
  readonly #times = new Map<Key, { at: number; heapAt: number }>();
  /**
   * A binary heap; an entry that is not the one its key counts on is passed over. A key whose time was put off stays where it stood and is put back
   * when it comes up: whoever polls puts theirs off at each poll.
   */
  #heap: { key: Key; at: number }[] = [];
  #timer: Timer | undefined;
  #timerAt = Number.POSITIVE_INFINITY;
  #stopped = false;

  constructor(deps: { clock: Clock; onDue: (key: Key) => void }) {
    this.#clock = deps.clock;
    this.#onDue = deps.onDue;
  }

  get size(): number {
    return this.#times.size;
  }

  timeOf(key: Key): number | undefined {
    return this.#times.get(key)?.at;
  }

  /** Undefined: never. */
  set(key: Key, at: number | undefined): void {
    if (this.#stopped) return;
    if (at === undefined) {
      this.#times.delete(key);
      return;
    }
    const known = this.#times.get(key);
    if (known !== undefined && known.heapAt <= at) {
      known.at = at;
      return;
    }
    this.#times.set(key, { at, heapAt: at });
    this.#push({ key, at });
    if (this.#heap.length > 64 + 4 * this.#times.size) this.#rebuild();
    this.#arm();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.clear();
    this.#times.clear();
    this.#heap = [];
  }

  #arm(): void {
    const first = this.#heap[0];
    if (!first || first.at >= this.#timerAt) return;
    this.#timer?.clear();
    const now = this.#clock.monotonic();
    this.#timerAt = Math.min(first.at, now + timerMaxMs);
    this.#timer = this.#clock.setTimer(Math.max(0, this.#timerAt - now), () => this.#sweep());
  }

  #sweep(): void {
    this.#timerAt = Number.POSITIVE_INFINITY;
    const now = this.#clock.monotonic();
    for (let first = this.#heap[0]; first && first.at <= now && !this.#stopped; first = this.#heap[0]) {
      this.#pop();
      const known = this.#times.get(first.key);
      if (known?.heapAt !== first.at) continue;
      if (known.at > first.at) {
        known.heapAt = known.at;
        this.#push({ key: first.key, at: known.at });
        continue;
      }
      this.#times.delete(first.key);
      this.#onDue(first.key);
    }
    if (!this.#stopped) this.#arm();
  }

  #rebuild(): void {
    this.#heap = [...this.#times].map(([key, { heapAt }]) => ({ key, at: heapAt })).sort((a, b) => a.at - b.at);
  }

  #push(entry: { key: Key; at: number }): void {
    const heap = this.#heap;
    let index = heap.push(entry) - 1;
    while (index > 0) {
      const parentIndex = (index - 1) >> 1;
      const parent = heap[parentIndex];
      if (!parent || parent.at <= entry.at) break;
      heap[index] = parent;
      index = parentIndex;
    }
    heap[index] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (!last || heap.length === 0) return;
    let index = 0;
    for (;;) {
      const left = 2 * index + 1;
      const right = left + 1;
      const leftEntry = heap[left];
      if (!leftEntry) break;
      const rightEntry = heap[right];
      const least = rightEntry && rightEntry.at < leftEntry.at ? right : left;
      const entry = heap[least];
      if (!entry || last.at <= entry.at) break;
      heap[index] = entry;
      index = least;
    }
    heap[index] = last;
  }
}

import type { Clock, Timer } from '../clock.ts';

/** Timers of the machine count in 31 bits; what is due later is looked at again in between. */
const timerMaxMs = 86_400_000;

/** No time: it is handed out just now. */
const never = Number.POSITIVE_INFINITY;

interface Entry<Key> {
  readonly key: Key;
  at: number;
  /** By what it stands in the heap: its time, or an earlier one where that was put off. */
  heapAt: number;
  index: number;
}

/**
 * Keys with a time each, and one timer for all of them. Each key has one time, the last one given. Due keys are handed out in
 * order of their times, all that are due in one turn. `monotonic` times.
 *
 * A binary heap whose entries know where they stand: a key is one object for as long as it has a time, however often that changes.
 */
export class Sweeper<Key> {
  readonly #clock: Clock;
  readonly #onDue: (key: Key) => void;
  readonly #entries = new Map<Key, Entry<Key>>();
  readonly #heap: Entry<Key>[] = [];
  #timer: Timer | undefined;
  #timerAt = never;
  #stopped = false;

  constructor(deps: { clock: Clock; onDue: (key: Key) => void }) {
    this.#clock = deps.clock;
    this.#onDue = deps.onDue;
  }

  get size(): number {
    return this.#entries.size;
  }

  timeOf(key: Key): number | undefined {
    const at = this.#entries.get(key)?.at;
    return at === never ? undefined : at;
  }

  /** Undefined: never. */
  set(key: Key, at: number | undefined): void {
    if (this.#stopped) return;
    const known = this.#entries.get(key);
    if (at === undefined || at === never) {
      if (known !== undefined) this.#remove(known);
      return;
    }
    if (known === undefined) {
      const entry = { key, at, heapAt: at, index: this.#heap.length };
      this.#entries.set(key, entry);
      this.#heap.push(entry);
      this.#rise(entry);
    } else {
      known.at = at;
      // One that is put off stays where it stands until it comes up: whoever polls puts theirs off at each poll.
      if (at >= known.heapAt) return;
      known.heapAt = at;
      this.#rise(known);
    }
    this.#arm();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.clear();
    this.#entries.clear();
    this.#heap.length = 0;
  }

  #arm(): void {
    const first = this.#heap[0];
    if (!first || first.heapAt >= this.#timerAt) return;
    this.#timer?.clear();
    const now = this.#clock.monotonic();
    this.#timerAt = Math.min(first.heapAt, now + timerMaxMs);
    this.#timer = this.#clock.setTimer(Math.max(0, this.#timerAt - now), () => this.#sweep());
  }

  #sweep(): void {
    this.#timerAt = never;
    const now = this.#clock.monotonic();
    for (let first = this.#heap[0]; first && first.heapAt <= now && !this.#stopped; first = this.#heap[0]) {
      const isDue = first.at <= first.heapAt;
      if (isDue) first.at = never;
      first.heapAt = first.at;
      this.#sink(first);
      if (!isDue) continue;
      this.#onDue(first.key);
      if (first.at === never && this.#entries.get(first.key) === first) this.#remove(first);
    }
    if (!this.#stopped) this.#arm();
  }

  #remove(entry: Entry<Key>): void {
    this.#entries.delete(entry.key);
    const last = this.#heap.pop();
    if (last === undefined || last === entry) return;
    last.index = entry.index;
    this.#heap[last.index] = last;
    this.#rise(last);
    this.#sink(last);
  }

  #rise(entry: Entry<Key>): void {
    const heap = this.#heap;
    while (entry.index > 0) {
      const parent = heap[(entry.index - 1) >> 1];
      if (!parent || parent.heapAt <= entry.heapAt) return;
      this.#swap(entry, parent);
    }
  }

  #sink(entry: Entry<Key>): void {
    const heap = this.#heap;
    for (;;) {
      const left = heap[2 * entry.index + 1];
      if (!left) return;
      const right = heap[2 * entry.index + 2];
      const least = right && right.heapAt < left.heapAt ? right : left;
      if (entry.heapAt <= least.heapAt) return;
      this.#swap(entry, least);
    }
  }

  #swap(a: Entry<Key>, b: Entry<Key>): void {
    const { index } = a;
    a.index = b.index;
    b.index = index;
    this.#heap[a.index] = a;
    this.#heap[b.index] = b;
  }
}

import { breathe } from '../../base/breathe.ts';

/** A binary heap: `pop` takes the smallest first. */
export class Heap<T> {
  readonly #items: T[] = [];
  readonly #compare: (x: T, y: T) => number;

  constructor(compare: (x: T, y: T) => number) {
    this.#compare = compare;
  }

  get size(): number {
    return this.#items.length;
  }

  push(item: T): void {
    const items = this.#items;
    let at = items.length;
    items.push(item);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = items[parent];
      if (above === undefined || this.#compare(item, above) >= 0) break;
      items[at] = above;
      at = parent;
    }
    items[at] = item;
  }

  /** Undefined when the heap is empty. */
  pop(): T | undefined {
    const items = this.#items;
    const top = items[0];
    const last = items.pop();
    if (last === undefined || items.length === 0) return top;
    this.#sink(last);
    return top;
  }

  #sink(item: T): void {
    const items = this.#items;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      const first = items[left];
      if (first === undefined) break;
      const second = items[left + 1];
      const useSecond = second !== undefined && this.#compare(second, first) < 0;
      const child = useSecond ? second : first;
      if (this.#compare(item, child) <= 0) break;
      items[at] = child;
      at = useSecond ? left + 1 : left;
    }
    items[at] = item;
  }
}

/** The items, smallest first; unlike `sort` with others in between. Equal items in no certain order. */
export async function sortInTurns<T>(items: Iterable<T>, compare: (x: T, y: T) => number): Promise<T[]> {
  const heap = new Heap(compare);
  for (const item of items) {
    heap.push(item);
    if (heap.size % 100 === 0) await breathe();
  }
  const sorted: T[] = [];
  for (let next = heap.pop(); next !== undefined; next = heap.pop()) {
    sorted.push(next);
    if (sorted.length % 100 === 0) await breathe();
  }
  return sorted;
}

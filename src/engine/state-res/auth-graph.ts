import { breathe } from '../../base/breathe.ts';
import type { EventId } from '../../matrix/ids.ts';
import type { EventCache } from './sources.ts';

/**
 * Some events and all that can be reached from them by auth edges, as numbers: each event's number is smaller than those of the
 * events that it cites. Where servers choose ids, hostile ones can make events cite each other in a circle; there the order breaks, and
 * whoever walks the graph goes round until nothing changes.
 */
export interface AuthGraph {
  readonly ids: readonly EventId[];
  /** By an event's number, the numbers of those that it cites. */
  readonly cited: readonly (readonly number[])[];
  readonly hasCircles: boolean;
}

export async function readAuthGraph(from: Iterable<EventId>, cache: EventCache): Promise<AuthGraph> {
  const reached = await cache.listReachable(from);
  const ids = await orderCitersFirst(reached, cache);
  const numbers = new Map<EventId, number>();
  for (const id of ids) {
    numbers.set(id, numbers.size);
    if (numbers.size % 100 === 0) await breathe();
  }
  const cited: (readonly number[])[] = [];
  let hasCircles = false;
  for (const id of ids) {
    const authEvents = cache.authEventsOf(id).map((authEvent) => numbers.get(authEvent) ?? 0);
    hasCircles ||= authEvents.some((authEvent) => authEvent <= cited.length);
    cited.push(authEvents);
    if (cited.length % 100 === 0) await breathe();
  }
  return { ids, cited, hasCircles };
}

/** Depth first, without recursion: an event is left once all that it cites have been; the last one left stands first. */
async function orderCitersFirst(reached: ReadonlySet<EventId>, cache: EventCache): Promise<EventId[]> {
  const left: EventId[] = [];
  const entered = new Set<EventId>();
  let looked = 0;
  for (const start of reached) {
    if (entered.has(start)) continue;
    entered.add(start);
    const path = [{ id: start, cited: cache.authEventsOf(start), next: 0 }];
    for (let step = path.at(-1); step; step = path.at(-1)) {
      const authEvent = step.cited[step.next];
      step.next += 1;
      if (authEvent === undefined) {
        left.push(step.id);
        path.pop();
      } else if (!entered.has(authEvent)) {
        entered.add(authEvent);
        path.push({ id: authEvent, cited: cache.authEventsOf(authEvent), next: 0 });
      }
      looked += 1;
      if (looked % 100 === 0) await breathe();
    }
  }
  return left.reverse();
}

/** For each event of a graph a set of small numbers, as bits. Takes an eighth of a byte for each event and number. */
export class Marks {
  readonly #words: Uint32Array;
  readonly #wordsEach: number;
  readonly #count: number;

  /** `count`: how many numbers there are, from 0 on. */
  constructor(events: number, count: number) {
    this.#count = count;
    this.#wordsEach = Math.ceil(count / 32);
    this.#words = new Uint32Array(events * this.#wordsEach);
  }

  add(event: number, number: number): void {
    const word = event * this.#wordsEach + (number >>> 5);
    this.#words[word] = (this.#words[word] ?? 0) | (1 << (number & 31));
  }

  /** Gives `to` all the numbers of `from`. Whether it lacked one. */
  spread(from: number, to: number): boolean {
    let grew = false;
    for (let word = 0; word < this.#wordsEach; word += 1) {
      const before = this.#words[to * this.#wordsEach + word] ?? 0;
      const after = (before | (this.#words[from * this.#wordsEach + word] ?? 0)) >>> 0;
      if (after === before) continue;
      this.#words[to * this.#wordsEach + word] = after;
      grew = true;
    }
    return grew;
  }

  hasAll(event: number): boolean {
    for (let number = 0; number < this.#count; number += 32) {
      const wanted = this.#count - number >= 32 ? 0xffffffff : 2 ** (this.#count - number) - 1;
      if (this.#words[event * this.#wordsEach + (number >>> 5)] !== wanted) return false;
    }
    return true;
  }

  hasAny(event: number): boolean {
    for (let word = 0; word < this.#wordsEach; word += 1) {
      if (this.#words[event * this.#wordsEach + word] !== 0) return true;
    }
    return false;
  }
}

/** Gives the marks of each event to all that can be reached from it. */
export async function spreadDown({ cited, hasCircles }: AuthGraph, marks: Marks): Promise<void> {
  let grew = true;
  for (let round = 0; round === 0 || (hasCircles && grew); round += 1) {
    grew = false;
    for (const [event, authEvents] of cited.entries()) {
      for (const authEvent of authEvents) grew = marks.spread(event, authEvent) || grew;
      if (event % 100 === 0) await breathe();
    }
  }
}

/** Gives the marks of each event to all from which it can be reached. */
export async function spreadUp({ cited, hasCircles }: AuthGraph, marks: Marks): Promise<void> {
  let grew = true;
  for (let round = 0; round === 0 || (hasCircles && grew); round += 1) {
    grew = false;
    for (let event = cited.length - 1; event >= 0; event -= 1) {
      for (const authEvent of cited[event] ?? []) grew = marks.spread(authEvent, event) || grew;
      if (event % 100 === 0) await breathe();
    }
  }
}

import { breathe } from '../../../base/breathe.ts';
import type { EventId } from '../../../matrix/ids.ts';

/** Which events authorise which, by numbers: a room has a hundred thousand, and their ids are held once. */
export class AuthGraph {
  readonly #numbers = new Map<EventId, number>();
  readonly #ids: EventId[] = [];
  /** Auth events of each event that is part of the graph; undefined: only named by others. */
  readonly #edges: (readonly number[] | undefined)[] = [];

  /** The number of an id, a new one if it has none. */
  numberOf(eventId: EventId): number {
    const known = this.#numbers.get(eventId);
    if (known !== undefined) return known;
    const number = this.#ids.length;
    this.#numbers.set(eventId, number);
    this.#ids.push(eventId);
    this.#edges.push(undefined);
    return number;
  }

  idOf(number: number): EventId {
    const eventId = this.#ids[number];
    if (eventId === undefined) throw new Error(`no event has the number ${number}`);
    return eventId;
  }

  /** Makes an event part of the graph. */
  put(number: number, authEventIds: readonly EventId[]): void {
    this.#edges[number] = authEventIds.map((eventId) => this.numberOf(eventId));
  }

  has(number: number): boolean {
    return this.#edges[number] !== undefined;
  }

  /** Events that are named and are no part of the graph. */
  listOutside(): EventId[] {
    return this.#ids.filter((_, number) => this.#edges[number] === undefined);
  }

  /**
   * Each event of the graph behind those of it that authorise it; `first`, if it is one of them, before all others. Events of a circle
   * are left out.
   */
  async sort(first?: EventId): Promise<number[]> {
    const waitingFor = new Int32Array(this.#ids.length);
    const children = new Map<number, number[]>();
    const ready: number[] = [];
    let looked = 0;
    for (const [number, edges] of this.#edges.entries()) {
      looked += 1;
      if (looked % 1_000 === 0) await breathe();
      if (edges === undefined) continue;
      const parents = new Set(edges.filter((edge) => this.has(edge)));
      waitingFor[number] = parents.size;
      for (const parent of parents) {
        const siblings = children.get(parent);
        if (siblings) siblings.push(number);
        else children.set(parent, [number]);
      }
      if (parents.size > 0) continue;
      if (this.#ids[number] === first) ready.unshift(number);
      else ready.push(number);
    }
    const sorted: number[] = [];
    for (let at = 0; at < ready.length; at += 1) {
      const number = ready[at] ?? 0;
      sorted.push(number);
      for (const child of children.get(number) ?? []) {
        waitingFor[child] = (waitingFor[child] ?? 0) - 1;
        if (waitingFor[child] === 0) ready.push(child);
      }
      if (at % 1_000 === 999) await breathe();
    }
    return sorted;
  }
}

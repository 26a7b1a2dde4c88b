import { breathe } from '../../base/breathe.ts';
import type { EventId } from '../../matrix/ids.ts';

/**
 * The auth events of each event asked for; unknown ones are left out. One query a call. Up to `ahead` events that lie below may be
 * told as well, since they will be asked for next.
 */
export type ListAuthEdges = (
  eventIds: readonly EventId[],
  ahead: number,
) => Promise<ReadonlyMap<EventId, readonly EventId[]>>;

/** How many events one call tells of at most: those that it asks for and those that come on top. */
const readMax = 500;
const aheadFirst = 32;

/** What one walk over the auth graph has read so far, so that nothing is asked for twice. */
export class AuthEdges {
  readonly #list: ListAuthEdges;
  readonly #edges = new Map<EventId, readonly EventId[]>();
  #ahead = 0;

  constructor(list: ListAuthEdges) {
    this.#list = list;
  }

  /** The auth events of an event that was read; none for one that is unknown. */
  get(eventId: EventId): readonly EventId[] {
    return this.#edges.get(eventId) ?? [];
  }

  has(eventId: EventId): boolean {
    return this.#edges.has(eventId);
  }

  /** Reads what is not known yet. */
  async read(eventIds: Iterable<EventId>): Promise<void> {
    for await (const part of inParts(eventIds, (id) => !this.has(id))) {
      const told = await this.#list(part, Math.min(this.#ahead, readMax - part.length));
      const before = this.#edges.size;
      let looked = 0;
      for (const [id, edges] of told) {
        this.#edges.set(id, edges);
        looked += 1;
        if (looked % 100 === 0) await breathe();
      }
      for (const id of part) if (!this.has(id)) this.#edges.set(id, []);
      this.#adjust(this.#edges.size - before, told.size);
    }
  }

  /**
   * A narrow graph goes down for thousands of levels, and one query for each would take long; so more and more of what lies below is read
   * with each. Less again once that was mostly known, as where another long chain lies below every level.
   */
  #adjust(learnt: number, told: number): void {
    this.#ahead = 2 * learnt >= told ? Math.min(readMax, Math.max(aheadFirst, 2 * this.#ahead)) : this.#ahead >> 1;
  }
}

/** The ids that are wanted, none twice, in parts of one read each. */
export async function* inParts(
  eventIds: Iterable<EventId>,
  isWanted: (eventId: EventId) => boolean,
): AsyncGenerator<readonly EventId[]> {
  let part = new Set<EventId>();
  let looked = 0;
  for (const eventId of eventIds) {
    // Asked late: what was read for an earlier part may have told of it.
    if (isWanted(eventId)) part.add(eventId);
    if (part.size === readMax) {
      yield [...part];
      part = new Set();
    }
    looked += 1;
    if (looked % 100 === 0) await breathe();
  }
  if (part.size > 0) yield [...part];
}

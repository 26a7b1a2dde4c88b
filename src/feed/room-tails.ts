import { LRUCache } from 'lru-cache';
import type { RoomId } from '../matrix/ids.ts';
import type { Change } from '../storage/contract/changes.ts';
import type { EventReads, TimelineEvent, TimelinePage } from '../storage/contract/events.ts';
import type { Position } from '../storage/contract/numbers.ts';

const roomsMax = 1_000;
/** Events of one tail; when there are more, the older half goes. */
const eventsMax = 400;

/** Accepted timeline events of a room in from < position ≤ upTo, all of them, oldest first. */
interface Tail {
  from: Position;
  upTo: Position;
  events: TimelineEvent[];
  /** The newest place before which something was missing when it was read; 0: none. */
  gapAt: Position;
}

/**
 * The newest events of rooms in which people are talking, so that each is read from the storage once and not once for everybody who is there.
 * Answers exactly as `EventReads.listTimeline` does.
 */
export class RoomTails {
  readonly #events: Pick<EventReads, 'listTimeline' | 'listGaps'>;
  readonly #tails = new LRUCache<RoomId, Tail>({ max: roomsMax });
  /** Readings of what a tail lacks, so that many who want it wait for one. */
  readonly #readings = new Map<RoomId, Promise<void>>();
  #rewrites = 0;

  constructor(events: Pick<EventReads, 'listTimeline' | 'listGaps'>) {
    this.#events = events;
  }

  /** A listener for the feed: what rewrites an event makes its room's tail worthless. */
  apply(changes: readonly Change[]): void {
    for (const change of changes) {
      if (change.kind === 'redaction' || change.kind === 'event_rewritten') {
        this.#tails.delete(change.roomId);
        this.#rewrites += 1;
      }
    }
  }

  async list(roomId: RoomId, after: Position, upTo: Position, limit: number): Promise<TimelineEvent[]> {
    const tail = await this.#tailUpTo(roomId, after, upTo);
    if (tail === undefined) return this.#events.listTimeline(roomId, after, upTo, limit);
    const { events } = tail;
    const end = firstBehind(events, upTo);
    const start = Math.max(firstBehind(events, after), end - limit);
    return events.slice(start, end);
  }

  /** All in after < position ≤ upTo, where they are at hand and nothing is missing between them. */
  findNow({ roomId, after, upTo }: TimelinePage): readonly TimelineEvent[] | undefined {
    const tail = this.#tails.get(roomId);
    if (!tail || after < tail.from || upTo > tail.upTo || tail.gapAt > after) return undefined;
    return tail.events.slice(firstBehind(tail.events, after), firstBehind(tail.events, upTo));
  }

  /** Brings what `findNow` lacks. Undefined where there is nothing to wait for. */
  bring({ roomId, after, upTo }: TimelinePage): Promise<unknown> | undefined {
    const tail = this.#tails.get(roomId);
    if (tail && (after < tail.from || upTo <= tail.upTo)) return undefined;
    return this.#tailUpTo(roomId, after, upTo);
  }

  /** The tail if it reaches from `after` to `upTo`, completed if need be. Undefined where `after` lies before it. */
  async #tailUpTo(roomId: RoomId, after: Position, upTo: Position): Promise<Tail | undefined> {
    for (;;) {
      const tail = this.#tails.get(roomId);
      if (tail && after < tail.from) return undefined;
      if (tail && tail.upTo >= upTo) return tail;
      const running = this.#readings.get(roomId);
      if (running !== undefined) {
        await running;
        continue;
      }
      const reading = this.#extend(roomId, tail ?? { from: after, upTo: after, events: [], gapAt: 0 }, upTo);
      this.#readings.set(roomId, reading);
      try {
        await reading;
      } finally {
        this.#readings.delete(roomId);
      }
      const extended = this.#tails.get(roomId);
      // Rewritten while it was read, or more than a tail holds: the storage knows.
      if (!extended || extended.upTo < upTo || after < extended.from) return undefined;
    }
  }

  async #extend(roomId: RoomId, tail: Tail, upTo: Position): Promise<void> {
    const rewrites = this.#rewrites;
    const [added, gaps] = await Promise.all([
      this.#events.listTimeline(roomId, tail.upTo, upTo, eventsMax + 1),
      this.#events.listGaps(new Set([roomId]), tail.upTo, upTo),
    ]);
    const gapAt = gaps.get(roomId) ?? tail.gapAt;
    // What was read may be older than the rewriting.
    if (this.#rewrites !== rewrites) return;
    if (added.length > eventsMax) return void this.#tails.delete(roomId);
    const events = [...tail.events, ...added];
    if (events.length <= eventsMax) return void this.#tails.set(roomId, { from: tail.from, upTo, events, gapAt });
    const kept = events.slice(-eventsMax / 2);
    const from = events.at(-eventsMax / 2 - 1)?.position ?? tail.from;
    this.#tails.set(roomId, { from, upTo, events: kept, gapAt });
  }
}

/** Index of the first event whose position is above. */
function firstBehind(events: readonly TimelineEvent[], position: Position): number {
  let [low, high] = [0, events.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((events[middle]?.position ?? 0) <= position) low = middle + 1;
    else high = middle;
  }
  return low;
}

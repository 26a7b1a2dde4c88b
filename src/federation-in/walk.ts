import type { EventId, RoomId } from '../matrix/ids.ts';
import { depthOf, prevEventIdsOf } from '../matrix/pdu.ts';
import type { StoredEvent } from '../storage/contract/events.ts';
import type { Storage } from '../storage/contract/storage.ts';

type EventsDeps = { readonly storage: Pick<Storage, 'events'> };

export interface WalkBack {
  readonly roomId: RoomId;
  readonly from: readonly EventId[];
  /** Ids that end the walk; they are not part of it. */
  readonly until?: ReadonlySet<EventId>;
  readonly minDepth?: number;
  readonly limit: number;
}

/**
 * Up to `limit` events of the room reached by `prev_events` from the given ones, which are part of it, the deepest first.
 * Rejected ones too: others build on them, and whoever asks judges for itself. One query a level.
 */
export async function walkBack(deps: EventsDeps, walk: WalkBack): Promise<StoredEvent[]> {
  const found = new Map<EventId, StoredEvent>();
  const asked = new Set<EventId>(walk.until);
  let level = walk.from.filter((eventId) => !asked.has(eventId));
  while (level.length > 0 && found.size < walk.limit) {
    for (const eventId of level) asked.add(eventId);
    const events = (await deps.storage.events.listByIds(level))
      .filter(({ event }) => event.roomId === walk.roomId && depthOf(event.pdu) >= (walk.minDepth ?? 0))
      .sort((a, b) => depthOf(b.event.pdu) - depthOf(a.event.pdu))
      .slice(0, walk.limit - found.size);
    for (const stored of events) found.set(stored.event.eventId, stored);
    level = [...new Set(events.flatMap(({ event }) => prevEventIdsOf(event.pdu)))].filter(
      (eventId) => !asked.has(eventId),
    );
  }
  return [...found.values()].sort((a, b) => depthOf(b.event.pdu) - depthOf(a.event.pdu));
}

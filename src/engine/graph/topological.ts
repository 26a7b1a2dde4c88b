import { breathe } from '../../base/breathe.ts';
import type { EventId } from '../../matrix/ids.ts';
import { authEventIdsOf, depthOf, originServerTsOf, prevEventIdsOf, type RoomEvent } from '../../matrix/pdu.ts';
import { Heap } from './heap.ts';

/**
 * The events so that each stands behind those of them that it names in `prev_events`; ties by depth, then `origin_server_ts`, then
 * id, so that the order of the input does not matter. Duplicates are given once. The events of a circle,
 * which only given ids can make, are left out.
 */
export function sortByPrevEvents(events: readonly RoomEvent[]): Promise<RoomEvent[]> {
  return sortTopologically(events, (event) => prevEventIdsOf(event.pdu));
}

/** The same by `auth_events`: each event behind those that authorise it. For taking in the state of a room. */
export function sortByAuthEvents(events: readonly RoomEvent[]): Promise<RoomEvent[]> {
  return sortTopologically(events, (event) => authEventIdsOf(event.pdu));
}

async function sortTopologically(
  events: readonly RoomEvent[],
  parentsOf: (event: RoomEvent) => readonly EventId[],
): Promise<RoomEvent[]> {
  const byId = new Map(events.map((event) => [event.eventId, event]));
  const waitingFor = new Map<EventId, number>();
  const children = new Map<EventId, RoomEvent[]>();
  const ready = new Heap(compareByDepth);
  for (const event of byId.values()) {
    const parents = new Set(parentsOf(event).filter((id) => byId.has(id)));
    waitingFor.set(event.eventId, parents.size);
    for (const parent of parents) {
      const siblings = children.get(parent);
      if (siblings) siblings.push(event);
      else children.set(parent, [event]);
    }
    if (parents.size === 0) ready.push(event);
    if (waitingFor.size % 100 === 0) await breathe();
  }
  const sorted: RoomEvent[] = [];
  for (let next = ready.pop(); next; next = ready.pop()) {
    sorted.push(next);
    for (const child of children.get(next.eventId) ?? []) {
      const left = (waitingFor.get(child.eventId) ?? 0) - 1;
      waitingFor.set(child.eventId, left);
      if (left === 0) ready.push(child);
    }
    if (sorted.length % 100 === 0) await breathe();
  }
  return sorted;
}

function compareByDepth(x: RoomEvent, y: RoomEvent): number {
  if (depthOf(x.pdu) !== depthOf(y.pdu)) return depthOf(x.pdu) - depthOf(y.pdu);
  if (originServerTsOf(x.pdu) !== originServerTsOf(y.pdu)) return originServerTsOf(x.pdu) - originServerTsOf(y.pdu);
  return x.eventId < y.eventId ? -1 : x.eventId > y.eventId ? 1 : 0;
}

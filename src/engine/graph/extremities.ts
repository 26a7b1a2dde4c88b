import type { EventId } from '../../matrix/ids.ts';
import { prevEventIdsOf, prevEventsMax, type RoomEvent } from '../../matrix/pdu.ts';

/** "If the room's depth is already at the limit, the depth must be set to the limit." */
export const depthMax = Number.MAX_SAFE_INTEGER;

/** An end of the graph: an event that no accepted event has among its `prev_events` yet. */
export interface Extremity {
  readonly eventId: EventId;
  readonly depth: number;
}

/**
 * The room's forward extremities after an accepted event. Not for rejected ones ("neither … included as a prev event in any new
 * events") nor soft-failed ones ("should not be added to the server's list of forward extremities"): these change nothing.
 *
 * An event that came late, after something that builds on it, is no extremity: `hasSuccessors` says so.
 */
export function nextExtremities(current: Iterable<EventId>, event: RoomEvent, hasSuccessors = false): Set<EventId> {
  const next = new Set(current);
  for (const prevEvent of prevEventIdsOf(event.pdu)) next.delete(prevEvent);
  if (!hasSuccessors) next.add(event.eventId);
  return next;
}

/** What a new event names in `prev_events`: all extremities, or the twenty deepest of them; the rest wait for the event after it. */
export function choosePrevEvents(extremities: readonly Extremity[]): Extremity[] {
  return [...extremities].sort((x, y) => y.depth - x.depth || (x.eventId < y.eventId ? -1 : 1)).slice(0, prevEventsMax);
}

/** "The maximum depth of the prev_events, plus one." */
export function depthAfter(prevEvents: readonly Extremity[]): number {
  const deepest = Math.max(0, ...prevEvents.map(({ depth }) => depth));
  return Math.min(deepest + 1, depthMax);
}

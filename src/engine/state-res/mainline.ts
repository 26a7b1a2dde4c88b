import { breathe } from '../../base/breathe.ts';
import { eventTypes } from '../../matrix/event-types.ts';
import type { EventId } from '../../matrix/ids.ts';
import type { RoomEvent } from '../../matrix/pdu.ts';
import { sortInTurns } from '../graph/heap.ts';
import { compareByTime } from './power-order.ts';
import type { EventCache } from './sources.ts';

/**
 * Mainline ordering based on the power levels event `power`: events whose chain of power levels meets the mainline earlier come
 * first, then by `origin_server_ts`, then by id. The events must be loaded. Without `power` the mainline is empty.
 */
export async function orderByMainline(
  events: readonly RoomEvent[],
  power: EventId | undefined,
  cache: EventCache,
): Promise<RoomEvent[]> {
  const mainline = await listMainline(power, cache);
  const positions = await findPositions(events, mainline, cache);
  const positionOf = (event: RoomEvent): number => positions.get(event.eventId) ?? Number.POSITIVE_INFINITY;
  return sortInTurns(events, (x, y) => {
    const [ofX, ofY] = [positionOf(x), positionOf(y)];
    // 1. the mainline position of x is greater than the mainline position of y.
    if (ofX !== ofY) return ofX > ofY ? -1 : 1;
    // 2. the positions are the same, but x's origin_server_ts is less than y's; or 3. also the same, but x's event_id is less.
    return compareByTime(x, y);
  });
}

/** "The mainline of P_0 is the list of events [P_0, P_1, …, P_n]", each the power levels event that the one before cites: id → index. */
async function listMainline(power: EventId | undefined, cache: EventCache): Promise<ReadonlyMap<EventId, number>> {
  const mainline = new Map<EventId, number>();
  let next = power;
  // An event cannot cite itself, not even over others, since ids are hashes; the check costs nothing and bounds the loop.
  while (next !== undefined && !mainline.has(next)) {
    mainline.set(next, mainline.size);
    await cache.load([next]);
    await cache.load(cache.authEventsOf(next));
    next = citedPowerLevels(next, cache);
    await breathe();
  }
  return mainline;
}

/** "Find the smallest index j ≥ 1 for which e_j belongs to the mainline of P": its position there. Without one, no entry. */
async function findPositions(
  events: readonly RoomEvent[],
  mainline: ReadonlyMap<EventId, number>,
  cache: EventCache,
): Promise<Map<EventId, number>> {
  const cited = await readCitedPowerLevels(events, mainline, cache);
  const positions = new Map<EventId, number>();
  /** Where the walk from a power levels event ends, so that a shared chain is walked once. */
  const known = new Map<EventId, number | undefined>(mainline);
  let looked = 0;
  for (const { eventId } of events) {
    const path: EventId[] = [];
    let at = cited.get(eventId);
    while (at !== undefined && !known.has(at)) {
      // Set before the walk goes on: a circle, which hashes forbid, would end here.
      known.set(at, undefined);
      path.push(at);
      at = cited.get(at);
    }
    const position = at === undefined ? undefined : known.get(at);
    for (const passed of path) known.set(passed, position);
    if (position !== undefined) positions.set(eventId, position);
    looked += 1;
    if (looked % 100 === 0) await breathe();
  }
  return positions;
}

/** From each event to the power levels event that it cites, and so on until the mainline or the end; one read a step. */
async function readCitedPowerLevels(
  events: readonly RoomEvent[],
  mainline: ReadonlyMap<EventId, number>,
  cache: EventCache,
): Promise<Map<EventId, EventId>> {
  const cited = new Map<EventId, EventId>();
  const seen = new Set<EventId>();
  let level: EventId[] = events.map((event) => event.eventId);
  while (level.length > 0) {
    await cache.load(citedByAll(level, cache));
    const next: EventId[] = [];
    let looked = 0;
    for (const eventId of level) {
      const power = citedPowerLevels(eventId, cache);
      if (power !== undefined) cited.set(eventId, power);
      if (power !== undefined && !mainline.has(power) && !seen.has(power)) {
        seen.add(power);
        next.push(power);
      }
      looked += 1;
      if (looked % 100 === 0) await breathe();
    }
    level = next;
  }
  return cited;
}

function* citedByAll(eventIds: readonly EventId[], cache: EventCache): Generator<EventId> {
  for (const eventId of eventIds) yield* cache.authEventsOf(eventId);
}

/** The power levels event among the auth events of an event; both must be loaded. */
function citedPowerLevels(eventId: EventId, cache: EventCache): EventId | undefined {
  return cache.authEventsOf(eventId).find((id) => {
    const pdu = cache.find(id)?.pdu;
    return pdu?.type === eventTypes.powerLevels && pdu.state_key === '';
  });
}

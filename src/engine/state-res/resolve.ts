import { eventTypes } from '../../matrix/event-types.ts';
import type { EventId } from '../../matrix/ids.ts';
import { type RoomEvent, type StateKey, stateKeyOf } from '../../matrix/pdu.ts';
import type { RoomVersion } from '../../matrix/room-versions.ts';
import { type Conflict, listFullConflicted } from './conflicted.ts';
import { applyAllowed, type StateLookUp } from './iterative-auth.ts';
import { orderByMainline } from './mainline.ts';
import { orderByPower, selectPowerEvents } from './power-order.ts';
import { EventCache, type EventSources } from './sources.ts';
import {
  completeResolution,
  listDifferingPlaces,
  type Resolution,
  readStateSets,
  type ToldStates,
} from './state-sets.ts';
import { resolveByDepth } from './v1.ts';

export interface ResolveInput extends EventSources {
  readonly version: RoomVersion;
  /** The states after each previous event, in any order, equal ones included or not. */
  readonly stateSets: ToldStates;
  /** Whether an event was rejected on receipt. Asked only for events that `load` gave before. */
  readonly isRejected: (eventId: EventId) => boolean;
}

/**
 * The *resolution* of a set of states (room versions, "State resolution"): the same on every server that has the same events,
 * whatever the order of the input. Reads by level of the auth graph, lets others run in between, and reads nothing at all where the
 * states are equal. Events that the sources do not know are treated as not allowed.
 *
 * Holds one state, the differences of the others to it, the events of the full conflicted set with those that they cite, and the ids
 * of the auth chains that had to be walked, each with one bit a state.
 */
export async function resolveState(input: ResolveInput): Promise<Resolution> {
  const sets = await readStateSets(input.stateSets);
  const places = await listDifferingPlaces(sets);
  if (places.size === 0) return { state: sets.first, sameAs: 0, set: new Map(), removed: [] };
  const conflict = { sets, places };
  const { version, isRejected } = input;
  const facts = { cache: new EventCache(input), version, isRejected };
  const resolved =
    version.stateResolution === 'v1' ? await resolveByDepth(conflict, facts) : await resolveByOrder(conflict, facts);
  return completeResolution(sets, places, resolved);
}

const powerLevelsKey = stateKeyOf(eventTypes.powerLevels, '');

/** The algorithm of room version 2, and of 12: what holds for the places in conflict, and perhaps for others. */
async function resolveByOrder(
  conflict: Conflict,
  facts: { cache: EventCache; version: RoomVersion; isRejected: (eventId: EventId) => boolean },
): Promise<ReadonlyMap<StateKey, EventId>> {
  const { cache, version } = facts;
  const fullConflicted = await listFullConflicted(conflict, cache, version.stateResolution === 'v2.1');
  await cache.load(fullConflicted);

  // 1. Select the set X of all power events that appear in the full conflicted set, enlarged by their auth chains in it. Sort X into
  // a list using the reverse topological power ordering.
  const powerEvents = await selectPowerEvents(fullConflicted, cache);
  const byPower = await orderByPower(powerEvents, cache, version);

  // 2. Apply the iterative auth checks algorithm, starting from the unconflicted state map (v2.1: from an empty state map), to the
  // list of events from the previous step to get a partially resolved state.
  const start: StateLookUp = version.stateResolution === 'v2.1' ? new Map() : unconflictedState(conflict);
  const changes = new Map<StateKey, EventId>();
  await applyAllowed(byPower, { start, changes }, facts);

  // 3. Take all remaining events that weren't picked in step 1 and order them by the mainline ordering based on the power level in
  // the partially resolved state obtained in step 2.
  const power = changes.get(powerLevelsKey) ?? start.get(powerLevelsKey);
  const remaining = listRemaining(fullConflicted, powerEvents, cache);
  const byMainline = await orderByMainline(remaining, power, cache);

  // 4. Apply the iterative auth checks algorithm on the partial resolved state and the list of events from the previous step.
  await applyAllowed(byMainline, { start, changes }, facts);

  // 5. Update the result by replacing any event with the event with the same key from the unconflicted state map, if such an event
  // exists, to get the final resolved state. (`completeResolution`)
  return changes;
}

function unconflictedState({ sets, places }: Conflict): StateLookUp {
  return { get: (key) => (places.has(key) ? undefined : sets.first.get(key)) };
}

function listRemaining(
  fullConflicted: ReadonlySet<EventId>,
  powerEvents: ReadonlySet<EventId>,
  cache: EventCache,
): RoomEvent[] {
  const remaining: RoomEvent[] = [];
  for (const eventId of fullConflicted) {
    const event = powerEvents.has(eventId) ? undefined : cache.find(eventId);
    if (event) remaining.push(event);
  }
  return remaining;
}

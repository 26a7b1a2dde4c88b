import { breathe } from '../../base/breathe.ts';
import { eventTypes } from '../../matrix/event-types.ts';
import type { EventId } from '../../matrix/ids.ts';
import { type RoomEvent, type StateKey, type StateMap, stateKeyOf } from '../../matrix/pdu.ts';
import type { RoomVersion } from '../../matrix/room-versions.ts';
import { type Conflict, listAuthDifference, listConflictedSubgraph, splitStates } from './conflicted.ts';
import { applyAllowed } from './iterative-auth.ts';
import { orderByMainline } from './mainline.ts';
import { orderByPower, selectPowerEvents } from './power-order.ts';
import { EventCache, type EventSources } from './sources.ts';

export interface ResolveInput extends EventSources {
  readonly version: RoomVersion;
  /** The states after each previous event, in any order, equal ones included or not. */
  readonly stateSets: readonly StateMap[];
  /** Whether an event was rejected on receipt. Asked only for events that `load` gave before. */
  readonly isRejected: (eventId: EventId) => boolean;
}

/**
 * The *resolution* of a set of states (rooms v10 to v12, "State resolution"): the same on every server that has the same events,
 * whatever the order of the input. Reads by level of the auth graph, lets others run in between, and reads nothing at all where the
 * states are equal. Events that the sources do not know are treated as not allowed.
 */
export async function resolveState(input: ResolveInput): Promise<StateMap> {
  const states = [...new Set(input.stateSets)];
  const [first, ...others] = states;
  if (first === undefined) return new Map();
  if (others.length === 0) return first;
  const conflict = await splitStates(states);
  if (conflict.conflicted.size === 0) return conflict.unconflicted;
  return resolveConflict(conflict, input);
}

const powerLevelsKey = stateKeyOf(eventTypes.powerLevels, '');

async function resolveConflict(conflict: Conflict, input: ResolveInput): Promise<StateMap> {
  const { version, isRejected } = input;
  const cache = new EventCache(input);
  const facts = { cache, version, isRejected };
  const fullConflicted = await listFullConflicted(conflict, cache, version);
  await cache.load(fullConflicted);

  // 1. Select the set X of all power events that appear in the full conflicted set, enlarged by their auth chains in it. Sort X into
  // a list using the reverse topological power ordering.
  const powerEvents = await selectPowerEvents(fullConflicted, cache);
  const byPower = await orderByPower(powerEvents, cache, version);

  // 2. Apply the iterative auth checks algorithm, starting from the unconflicted state map (v2.1: from an empty state map), to the
  // list of events from the previous step to get a partially resolved state.
  const start: StateMap = version.stateResolution === 'v2.1' ? new Map() : conflict.unconflicted;
  const partial = await applyAllowed(byPower, start, facts);

  // 3. Take all remaining events that weren't picked in step 1 and order them by the mainline ordering based on the power level in
  // the partially resolved state obtained in step 2.
  const remaining = [...fullConflicted]
    .filter((eventId) => !powerEvents.has(eventId))
    .map((eventId) => cache.find(eventId))
    .filter((event): event is RoomEvent => event !== undefined);
  const byMainline = await orderByMainline(remaining, partial.get(powerLevelsKey), cache);

  // 4. Apply the iterative auth checks algorithm on the partial resolved state and the list of events from the previous step.
  const resolved = await applyAllowed(byMainline, partial, facts);

  // 5. Update the result by replacing any event with the event with the same key from the unconflicted state map, if such an event
  // exists, to get the final resolved state.
  return overlay(resolved, conflict.unconflicted);
}

/**
 * "The full conflicted set is the union of the conflicted state set and the auth difference." (v2.1: also "the conflicted state
 * subgraph".)
 */
async function listFullConflicted(conflict: Conflict, cache: EventCache, version: RoomVersion): Promise<Set<EventId>> {
  const full = new Set(conflict.conflicted);
  for (const eventId of await listAuthDifference(conflict, cache)) full.add(eventId);
  if (version.stateResolution === 'v2.1') {
    for (const eventId of await listConflictedSubgraph(conflict.conflicted, cache)) full.add(eventId);
  }
  return full;
}

async function overlay(
  state: Map<StateKey, EventId>,
  unconflicted: ReadonlyMap<StateKey, EventId>,
): Promise<Map<StateKey, EventId>> {
  let looked = 0;
  for (const [key, eventId] of unconflicted) {
    state.set(key, eventId);
    looked += 1;
    if (looked % 100 === 0) await breathe();
  }
  return state;
}

import { breathe } from '../../base/breathe.ts';
import type { EventId } from '../../matrix/ids.ts';
import type { StateKey } from '../../matrix/pdu.ts';
import { type AuthGraph, Marks, readAuthGraph, spreadDown, spreadUp } from './auth-graph.ts';
import type { EventCache } from './sources.ts';
import type { StateSets } from './state-sets.ts';

/**
 * "If a given key K is present in every S_i with the same value V in each state map, then the pair (K, V) belongs to the unconflicted
 * state map. Otherwise, V belongs to the conflicted state set."
 */
export interface Conflict {
  readonly sets: StateSets;
  /** The keys of the conflicted state set, with its events. */
  readonly places: ReadonlyMap<StateKey, ReadonlySet<EventId>>;
}

/**
 * "The full conflicted set is the union of the conflicted state set and the auth difference." With `withSubgraph` (room version 12)
 * also the conflicted state subgraph.
 */
export async function listFullConflicted(
  conflict: Conflict,
  cache: EventCache,
  withSubgraph: boolean,
): Promise<Set<EventId>> {
  const full = await listConflictedState(conflict);
  const conflicted = new Set(full);
  const graph = await readAuthGraph(conflicted, cache);
  for (const eventId of await listAuthDifference(conflict, { conflicted, graph, cache })) full.add(eventId);
  if (withSubgraph) for (const eventId of await listConflictedSubgraph(conflicted, graph)) full.add(eventId);
  return full;
}

async function listConflictedState({ places }: Conflict): Promise<Set<EventId>> {
  const conflicted = new Set<EventId>();
  let looked = 0;
  for (const events of places.values()) {
    for (const eventId of events) conflicted.add(eventId);
    looked += 1;
    if (looked % 100 === 0) await breathe();
  }
  return conflicted;
}

/**
 * "If C_i is the full auth chain of S_i, then the auth difference is ∪ C_i − ∩ C_i." Without the conflicted state set, with which it
 * is united anyway. A state's own events are counted with its auth chain, as all known servers do; so an event that all states hold
 * never differs.
 *
 * Only what hangs on conflicted events can differ, so the chains of these are walked first. The chains of the unconflicted state,
 * which are in every C_i, are long, and walked only when candidates are left, and only until none is.
 */
async function listAuthDifference(
  conflict: Conflict,
  facts: { conflicted: ReadonlySet<EventId>; graph: AuthGraph; cache: EventCache },
): Promise<Set<EventId>> {
  const { conflicted, graph, cache } = facts;
  const marks = await markStates(conflict, graph);
  await spreadDown(graph, marks);
  const candidates = new Set<EventId>();
  let looked = 0;
  for (const [number, eventId] of graph.ids.entries()) {
    if (!conflicted.has(eventId) && !marks.hasAll(number)) candidates.add(eventId);
    looked += 1;
    if (looked % 100 === 0) await breathe();
  }
  if (candidates.size === 0) return candidates;
  await cache.listReachable(unconflictedEvents(conflict), (added) => {
    for (const eventId of added) candidates.delete(eventId);
    return candidates.size === 0;
  });
  return candidates;
}

/** Marks each conflicted event with the numbers of the states that hold it. */
async function markStates({ sets, places }: Conflict, graph: AuthGraph): Promise<Marks> {
  const numbers = new Map<EventId, number>();
  for (const id of graph.ids) {
    numbers.set(id, numbers.size);
    if (numbers.size % 100 === 0) await breathe();
  }
  const states = sets.deviations.length + 1;
  const marks = new Marks(graph.ids.length, states);
  let looked = 0;
  for (const key of places.keys()) {
    const inFirst = sets.first.get(key);
    for (let state = 0; state < states; state += 1) {
      const deviation = sets.deviations[state - 1];
      const holder = deviation?.has(key) ? deviation.get(key) : inFirst;
      const number = holder === undefined ? undefined : numbers.get(holder);
      if (number !== undefined) marks.add(number, state);
      looked += 1;
      if (looked % 100 === 0) await breathe();
    }
  }
  return marks;
}

function* unconflictedEvents({ sets, places }: Conflict): Generator<EventId> {
  for (const [key, eventId] of sets.first) if (!places.has(key)) yield eventId;
}

/**
 * "Starting from an event in the conflicted state set and following auth_events edges may lead to another event in the conflicted state
 * set. The union of all such paths between any pair of events in the conflicted state set (including endpoints) forms the
 * conflicted state subgraph." Of the graph, which is what can be reached from them, it is all from where one can be reached.
 */
async function listConflictedSubgraph(conflicted: ReadonlySet<EventId>, graph: AuthGraph): Promise<Set<EventId>> {
  const marks = new Marks(graph.ids.length, 1);
  for (const [number, eventId] of graph.ids.entries()) {
    if (conflicted.has(eventId)) marks.add(number, 0);
    if (number % 100 === 0) await breathe();
  }
  await spreadUp(graph, marks);
  const subgraph = new Set<EventId>();
  for (const [number, eventId] of graph.ids.entries()) {
    if (marks.hasAny(number)) subgraph.add(eventId);
    if (number % 100 === 0) await breathe();
  }
  return subgraph;
}

import { breathe } from '../../base/breathe.ts';
import type { EventId } from '../../matrix/ids.ts';
import type { StateKey, StateMap } from '../../matrix/pdu.ts';
import type { EventCache } from './sources.ts';

export interface Conflict {
  /** "If a given key K is present in every S_i with the same value V in each state map, then the pair (K, V) belongs to it." */
  readonly unconflicted: Map<StateKey, EventId>;
  /** The events of all other pairs: the *conflicted state set*. */
  readonly conflicted: ReadonlySet<EventId>;
  /** Those of them that stand in each state, by the state's index. */
  readonly conflictedByState: readonly ReadonlySet<EventId>[];
}

/** "Unconflicted state map and conflicted state set." */
export async function splitStates(states: readonly StateMap[]): Promise<Conflict> {
  const counts = new Map<StateKey, { eventId: EventId; equal: number }>();
  let looked = 0;
  for (const state of states) {
    for (const [key, eventId] of state) {
      const count = counts.get(key);
      if (!count) counts.set(key, { eventId, equal: 1 });
      else if (count.eventId === eventId) count.equal += 1;
      looked += 1;
      if (looked % 100 === 0) await breathe();
    }
  }
  const unconflicted = new Map<StateKey, EventId>();
  for (const [key, { eventId, equal }] of counts) {
    if (equal === states.length) unconflicted.set(key, eventId);
    looked += 1;
    if (looked % 100 === 0) await breathe();
  }
  const conflictedByState = [];
  for (const state of states) {
    const own = new Set<EventId>();
    for (const [key, eventId] of state) {
      if (!unconflicted.has(key)) own.add(eventId);
      looked += 1;
      if (looked % 100 === 0) await breathe();
    }
    conflictedByState.push(own);
  }
  return { unconflicted, conflicted: new Set(conflictedByState.flatMap((own) => [...own])), conflictedByState };
}

/**
 * "If C_i is the full auth chain of S_i, then the auth difference is ∪ C_i − ∩ C_i." Without the conflicted state set, with which it
 * is united anyway. A state's own events are counted with its auth chain, as servers do in practice; so an event that all states hold
 * never differs.
 *
 * Only what hangs on conflicted events can differ, so the chains of these are walked first. The chains of the unconflicted state,
 * which are in every C_i, are long, and walked only when candidates are left, and only until none is.
 */
export async function listAuthDifference(conflict: Conflict, cache: EventCache): Promise<Set<EventId>> {
  const chains: Set<EventId>[] = [];
  for (const own of conflict.conflictedByState) chains.push(await cache.listReachable(own));
  const candidates = new Set<EventId>();
  for (const chain of chains) {
    let looked = 0;
    for (const eventId of chain) {
      if (!conflict.conflicted.has(eventId) && !chains.every((other) => other.has(eventId))) candidates.add(eventId);
      looked += 1;
      if (looked % 100 === 0) await breathe();
    }
  }
  await cache.listReachable(conflict.unconflicted.values(), (added) => {
    for (const eventId of added) candidates.delete(eventId);
    return candidates.size === 0;
  });
  return candidates;
}

/**
 * "Starting from an event in the conflicted state set and following auth_events edges may lead to another event in the conflicted state
 * set. The union of all such paths between any pair of events in the conflicted state set (including endpoints) forms the
 * conflicted state subgraph." (Room version 12.)
 */
export async function listConflictedSubgraph(
  conflicted: ReadonlySet<EventId>,
  cache: EventCache,
): Promise<Set<EventId>> {
  // On a path is what can be reached from a conflicted event, and from where one can be reached.
  const below = await cache.listReachable(conflicted);
  const citedBy = new Map<EventId, EventId[]>();
  let looked = 0;
  for (const eventId of below) {
    for (const authEvent of cache.authEventsOf(eventId)) {
      const citers = citedBy.get(authEvent);
      if (citers) citers.push(eventId);
      else citedBy.set(authEvent, [eventId]);
    }
    looked += 1;
    if (looked % 100 === 0) await breathe();
  }
  const subgraph = new Set<EventId>(conflicted);
  // A set's iterator also visits what is added while it runs.
  for (const eventId of subgraph) {
    for (const citer of citedBy.get(eventId) ?? []) subgraph.add(citer);
    looked += 1;
    if (looked % 100 === 0) await breathe();
  }
  return subgraph;
}

import { breathe } from '../../base/breathe.ts';
import type { EventId } from '../../matrix/ids.ts';
import type { StateKey, StateMap } from '../../matrix/pdu.ts';

/** What a state has in other places than the first one: the event that it has there, undefined for none. */
export type Deviation = ReadonlyMap<StateKey, EventId | undefined>;

/**
 * States to be resolved: the first as a whole, of the others only in what they deviate. A thousand ends of one room take the memory
 * of one state and of what sets them apart.
 */
export interface StateSets {
  readonly first: StateMap;
  /** None for states that equal the first. */
  readonly deviations: readonly Deviation[];
  /** Which of the states that were given each deviation is. */
  readonly indexes: readonly number[];
}

/** The same before they are compared: the first, and how each of the others deviates from it. */
export interface ToldStates {
  readonly first: StateMap;
  readonly others: Iterable<Deviation> | AsyncIterable<Deviation>;
}

/** Reads one after the other, so that they need not all be at hand. */
export async function readStateSets({ first, others }: ToldStates): Promise<StateSets> {
  const deviations: Deviation[] = [];
  const indexes: number[] = [];
  let index = 0;
  for await (const deviation of others) {
    index += 1;
    if (deviation.size === 0) continue;
    deviations.push(deviation);
    indexes.push(index);
  }
  return { first, deviations, indexes };
}

/** States that are at hand as a whole, at least one. */
export function tellStates([first, ...others]: readonly [StateMap, ...StateMap[]]): ToldStates {
  async function* deviations(): AsyncGenerator<Deviation> {
    for (const state of others) yield deviationFrom(first, state);
  }
  return { first, others: { [Symbol.asyncIterator]: deviations } };
}

/** Where `state` deviates from `first`. */
export async function deviationFrom(first: StateMap, state: StateMap): Promise<Deviation> {
  const deviation = new Map<StateKey, EventId | undefined>();
  if (state === first) return deviation;
  let common = 0;
  let looked = 0;
  for (const [key, eventId] of state) {
    const before = first.get(key);
    if (before !== undefined) common += 1;
    if (before !== eventId) deviation.set(key, eventId);
    looked += 1;
    if (looked % 100 === 0) await breathe();
  }
  if (common === first.size) return deviation;
  for (const key of first.keys()) {
    if (!state.has(key)) deviation.set(key, undefined);
    looked += 1;
    if (looked % 100 === 0) await breathe();
  }
  return deviation;
}

/** The events of each place in which the states differ; places where one of them has nothing included. In no certain order. */
export async function listDifferingPlaces({ first, deviations }: StateSets): Promise<Map<StateKey, Set<EventId>>> {
  const places = new Map<StateKey, Set<EventId>>();
  let looked = 0;
  for (const deviation of deviations) {
    for (const [key, eventId] of deviation) {
      const events = places.get(key) ?? new Set<EventId>();
      places.set(key, events);
      if (eventId !== undefined) events.add(eventId);
      looked += 1;
      if (looked % 100 === 0) await breathe();
    }
  }
  for (const [key, events] of places) {
    // The first state differs from each of the others, so its event is one of those in question.
    const eventId = first.get(key);
    if (eventId !== undefined) events.add(eventId);
    looked += 1;
    if (looked % 100 === 0) await breathe();
  }
  return places;
}

/** What came of a resolution. */
export interface Resolution {
  readonly state: StateMap;
  /** Of the states that were given, the first one that equals the result. */
  readonly sameAs: number | undefined;
  /** The result as a difference to the first of the states that were given. */
  readonly set: ReadonlyMap<StateKey, EventId>;
  readonly removed: readonly StateKey[];
}

/**
 * The resolution in which `resolved` holds for the places of `open` and for those that no state has; in all others, the
 * states agree, and the first one holds.
 */
export async function completeResolution(
  sets: StateSets,
  open: { has(key: StateKey): boolean; keys(): Iterable<StateKey> },
  resolved: ReadonlyMap<StateKey, EventId>,
): Promise<Resolution> {
  const { first } = sets;
  const set = new Map<StateKey, EventId>();
  const removed: StateKey[] = [];
  let looked = 0;
  for (const [key, eventId] of resolved) {
    if (open.has(key) ? first.get(key) !== eventId : !first.has(key)) set.set(key, eventId);
    looked += 1;
    if (looked % 100 === 0) await breathe();
  }
  for (const key of open.keys()) {
    if (first.has(key) && !resolved.has(key)) removed.push(key);
    looked += 1;
    if (looked % 100 === 0) await breathe();
  }
  if (set.size === 0 && removed.length === 0) return { state: first, sameAs: 0, set, removed };
  return { state: await changed(first, set, removed), sameAs: findSame(sets, set, removed), set, removed };
}

async function changed(
  first: StateMap,
  set: ReadonlyMap<StateKey, EventId>,
  removed: readonly StateKey[],
): Promise<StateMap> {
  const state = new Map<StateKey, EventId>();
  let looked = 0;
  for (const part of [first, set]) {
    for (const [key, eventId] of part) {
      state.set(key, eventId);
      looked += 1;
      if (looked % 100 === 0) await breathe();
    }
  }
  for (const key of removed) state.delete(key);
  return state;
}

function findSame(
  { deviations, indexes }: StateSets,
  set: ReadonlyMap<StateKey, EventId>,
  removed: readonly StateKey[],
): number | undefined {
  const at = deviations.findIndex(
    (deviation) =>
      deviation.size === set.size + removed.length &&
      removed.every((key) => deviation.has(key) && deviation.get(key) === undefined) &&
      [...set].every(([key, eventId]) => deviation.get(key) === eventId),
  );
  return at === -1 ? undefined : indexes[at];
}

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { listFullConflicted } from '../../../../src/engine/state-res/conflicted.ts';
import { EventCache } from '../../../../src/engine/state-res/sources.ts';
import { listDifferingPlaces, readStateSets, tellStates } from '../../../../src/engine/state-res/state-sets.ts';
import type { EventId } from '../../../../src/matrix/ids.ts';
import type { StateKey, StateMap } from '../../../../src/matrix/pdu.ts';
import { propertyRuns } from '../../../support/property-runs.ts';

type Edges = Record<string, readonly string[]>;

const stateOf = (entries: Record<string, string>): StateMap =>
  new Map(Object.entries(entries) as [StateKey, EventId][]);

const tell = ([first, ...others]: readonly StateMap[]) => tellStates([first ?? new Map(), ...others]);

async function fullConflicted(edges: Edges, states: readonly StateMap[], withSubgraph = false): Promise<string[]> {
  const sets = await readStateSets(tell(states));
  const cache = new EventCache({
    load: async () => new Map(),
    listAuthEdges: async (ids) => new Map(ids.map((id) => [id, (edges[id] ?? []) as EventId[]])),
  });
  const conflict = { sets, places: await listDifferingPlaces(sets) };
  return [...(await listFullConflicted(conflict, cache, withSubgraph))].sort();
}

/** An event and all that it leads to, also in a graph with circles. */
function chainOf(edges: Edges, id: string, seen = new Set<string>()): Set<string> {
  if (seen.has(id)) return seen;
  seen.add(id);
  for (const parent of edges[id] ?? []) chainOf(edges, parent, seen);
  return seen;
}

/** The definition, word by word. */
function fullConflictedByDefinition(edges: Edges, states: readonly StateMap[], withSubgraph: boolean): string[] {
  const conflicted = new Set<string>();
  for (const key of new Set(states.flatMap((state) => [...state.keys()]))) {
    const holders = states.map((state) => state.get(key));
    if (holders.some((holder) => holder !== holders[0]))
      for (const holder of holders) if (holder !== undefined) conflicted.add(holder);
  }
  const full = new Set(conflicted);
  const chains = states.map((state) => new Set([...state.values()].flatMap((id) => [...chainOf(edges, id)])));
  for (const chain of chains) for (const id of chain) if (!chains.every((other) => other.has(id))) full.add(id);
  const isBetween = (id: string): boolean =>
    [...conflicted].some((above) => chainOf(edges, above).has(id)) &&
    [...conflicted].some((below) => chainOf(edges, id).has(below));
  if (withSubgraph) for (const id of Object.keys(edges).filter(isBetween)) full.add(id);
  return [...full].sort();
}

const size = 40;
const ids = fc.constantFrom(...Array.from({ length: size }, (_, index) => `$${index}`));
const states = fc.array(fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), ids), { minLength: 1, maxLength: 70 });

/** Each event cites some others; of the ones before it, unless servers that choose ids make circles. */
const graph = ({ circles }: { circles: boolean }) =>
  fc
    .array(fc.array(fc.nat(size - 1), { maxLength: 3 }), { minLength: size, maxLength: size })
    .map((rows) =>
      Object.fromEntries(
        rows.map((row, index) => [
          `$${index}`,
          [...new Set(row.filter((to) => circles || to < index))].map((to) => `$${to}`),
        ]),
      ),
    );

describe('the conflict of some states', () => {
  it('is about the places that some have and others not, or that differ', async () => {
    const sets = await readStateSets(
      tellStates([
        stateOf({ same: '$1', changed: '$2', first: '$3' }),
        stateOf({ same: '$1', changed: '$4' }),
        stateOf({ same: '$1', changed: '$2', last: '$5' }),
      ]),
    );
    const places = await listDifferingPlaces(sets);
    expect(new Map([...places].map(([key, events]) => [key, [...events].sort()]))).toEqual(
      new Map([
        ['changed', ['$2', '$4']],
        ['first', ['$3']],
        ['last', ['$5']],
      ]),
    );
  });

  it('keeps of many states only the first and what sets the others apart', async () => {
    const first = new Map(Array.from({ length: 1_000 }, (_, at) => [`key ${at}`, `$${at}`] as [StateKey, EventId]));
    const other = (at: number): StateMap => new Map([...first, [`key ${at}` as StateKey, '$new' as EventId]]);
    const sets = await readStateSets(tellStates([first, new Map(first), other(1), other(2)]));
    expect(sets.first).toBe(first);
    expect(sets.deviations.map((deviation) => [...deviation])).toEqual([[['key 1', '$new']], [['key 2', '$new']]]);
    expect(sets.indexes).toEqual([2, 3]);
  });
});

describe('the full conflicted set', () => {
  it('has what lies on a path between two conflicted events, from room version 12 on', async () => {
    const edges = { $top: ['$middle', '$aside'], $middle: ['$bottom'], $bottom: ['$root'], $aside: ['$root'] };
    const [left, right] = [stateOf({ a: '$top' }), stateOf({ a: '$bottom', b: '$aside' })];
    // Whatever $top rests on is in its auth chain; all but $bottom, $aside and $root are missing on the other side.
    expect(await fullConflicted(edges, [left, right])).toEqual(['$aside', '$bottom', '$middle', '$top']);
    const both = { b: '$middle' };
    const sides = [stateOf({ ...both, a: '$top' }), stateOf({ ...both, a: '$bottom' })];
    expect(await fullConflicted(edges, sides)).toEqual(['$aside', '$bottom', '$top']);
    expect(await fullConflicted(edges, sides, true)).toEqual(['$aside', '$bottom', '$middle', '$top']);
  });

  it.each([false, true])('is as defined, for any graph and any states; with circles: %s', async (circles) => {
    await fc.assert(
      fc.asyncProperty(graph({ circles }), states, fc.boolean(), async (edges, entries, withSubgraph) => {
        const maps = entries.map(stateOf);
        expect(await fullConflicted(edges, maps, withSubgraph)).toEqual(
          fullConflictedByDefinition(edges, maps, withSubgraph),
        );
      }),
      { numRuns: propertyRuns(200) },
    );
  });
});

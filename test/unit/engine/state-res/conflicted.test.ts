import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  listAuthDifference,
  listConflictedSubgraph,
  splitStates,
} from '../../../../src/engine/state-res/conflicted.ts';
import { EventCache } from '../../../../src/engine/state-res/sources.ts';
import type { EventId } from '../../../../src/matrix/ids.ts';
import type { StateKey, StateMap } from '../../../../src/matrix/pdu.ts';

type Edges = Record<string, readonly string[]>;

function cacheOf(edges: Edges): EventCache {
  return new EventCache({
    load: async () => new Map(),
    listAuthEdges: async (ids) => new Map(ids.map((id) => [id, (edges[id] ?? []) as EventId[]])),
  });
}

function chainOf(edges: Edges, id: string): Set<string> {
  return new Set([id, ...(edges[id] ?? []).flatMap((parent) => [...chainOf(edges, parent)])]);
}

const stateOf = (entries: Record<string, string>): StateMap =>
  new Map(Object.entries(entries) as [StateKey, EventId][]);

/** Twelve events; each cites some of the ones before it. */
const graph = fc
  .array(fc.array(fc.nat(11), { maxLength: 3 }), { minLength: 12, maxLength: 12 })
  .map((rows) =>
    Object.fromEntries(
      rows.map((row, index) => [`$${index}`, [...new Set(row.filter((to) => to < index))].map((to) => `$${to}`)]),
    ),
  );
const ids = fc.constantFrom(...Array.from({ length: 12 }, (_, index) => `$${index}`));

describe('splitting states', () => {
  it('holds unconflicted what every state has, and equal', async () => {
    const conflict = await splitStates([
      stateOf({ same: '$1', changed: '$2', first: '$3' }),
      stateOf({ same: '$1', changed: '$4' }),
      stateOf({ same: '$1', changed: '$2', last: '$5' }),
    ]);
    expect([...conflict.unconflicted]).toEqual([['same', '$1']]);
    expect([...conflict.conflicted].sort()).toEqual(['$2', '$3', '$4', '$5']);
    expect(conflict.conflictedByState.map((own) => [...own].sort())).toEqual([['$2', '$3'], ['$4'], ['$2', '$5']]);
  });
});

describe('the auth difference', () => {
  it('is the union of the chains without their intersection, for any graph', async () => {
    const states = fc.array(fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), ids), { minLength: 2, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(graph, states, async (edges, entries) => {
        const conflict = await splitStates(entries.map(stateOf));
        const found = new Set([...conflict.conflicted, ...(await listAuthDifference(conflict, cacheOf(edges)))]);
        const chains = entries.map((state) => new Set(Object.values(state).flatMap((id) => [...chainOf(edges, id)])));
        const expected = new Set<string>(conflict.conflicted);
        for (const chain of chains) {
          for (const id of chain) if (!chains.every((other) => other.has(id))) expected.add(id);
        }
        expect([...found].sort()).toEqual([...expected].sort());
      }),
    );
  });
});

describe('the conflicted state subgraph', () => {
  it('is what lies on a path between two conflicted events', async () => {
    const edges = { $top: ['$middle', '$aside'], $middle: ['$bottom'], $bottom: ['$root'], $aside: ['$root'] };
    const subgraph = await listConflictedSubgraph(new Set(['$top', '$bottom'] as EventId[]), cacheOf(edges));
    expect([...subgraph].sort()).toEqual(['$bottom', '$middle', '$top']);
  });

  it('is what reaches one and is reached from one, for any graph', async () => {
    await fc.assert(
      fc.asyncProperty(graph, fc.uniqueArray(ids, { maxLength: 4 }), async (edges, conflicted) => {
        const subgraph = await listConflictedSubgraph(new Set(conflicted as EventId[]), cacheOf(edges));
        const expected = Object.keys(edges).filter(
          (id) =>
            conflicted.some((above) => chainOf(edges, above).has(id)) &&
            conflicted.some((below) => chainOf(edges, id).has(below)),
        );
        expect([...subgraph].sort()).toEqual(expected.sort());
      }),
    );
  });
});

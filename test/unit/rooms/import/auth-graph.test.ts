import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EventId } from '../../../../src/matrix/ids.ts';
import { AuthGraph } from '../../../../src/rooms/remote/import/auth-graph.ts';
import { propertyRuns } from '../../../support/property-runs.ts';

const id = (name: string | number) => `$${name}` as EventId;

function graphOf(edges: Record<string, readonly (string | number)[]>): AuthGraph {
  const graph = new AuthGraph();
  for (const [name, auth] of Object.entries(edges)) graph.put(graph.numberOf(id(name)), auth.map(id));
  return graph;
}

const sorted = async (graph: AuthGraph, first?: EventId) =>
  (await graph.sort(first)).map((number) => graph.idOf(number).slice(1));

describe('the graph of an import', () => {
  it('gives each event behind those that authorise it', async () => {
    expect(
      await sorted(graphOf({ message: ['join', 'power'], power: ['create'], join: ['power'], create: [] })),
    ).toEqual(['create', 'power', 'join', 'message']);
  });

  it('gives one event first if it is there', async () => {
    const graph = graphOf({ a: [], create: [], b: [] });
    expect((await sorted(graph, id('create')))[0]).toBe('create');
    expect(await sorted(graph, id('other'))).toHaveLength(3);
  });

  it('does not wait for events that are only named, and tells which they are', async () => {
    const graph = graphOf({ a: ['gone', 'b'], b: [] });
    expect(await sorted(graph)).toEqual(['b', 'a']);
    expect(graph.listOutside()).toEqual(['$gone']);
  });

  it('leaves out events of a circle, and what rests on them', async () => {
    expect(await sorted(graphOf({ a: ['b'], b: ['a'], c: ['b'], self: ['self'], good: [] }))).toEqual(['good']);
  });

  it('takes an event that is named twice for one', async () => {
    expect(await sorted(graphOf({ a: ['b', 'b'], b: [] }))).toEqual(['b', 'a']);
  });

  it('keeps the order for any graph, however the events came', async () => {
    const size = 30;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(fc.nat(size), { maxLength: 4 }), { minLength: size, maxLength: size }),
        fc.shuffledSubarray(
          Array.from({ length: size }, (_, index) => index),
          { minLength: size },
        ),
        async (picks, order) => {
          const edgesOf = (index: number) => [...new Set(picks[index]?.filter((other) => other < index))];
          const graph = new AuthGraph();
          for (const index of order) graph.put(graph.numberOf(id(index)), edgesOf(index).map(id));
          const place = new Map((await sorted(graph)).map((name, at) => [Number(name), at]));
          expect(place.size).toBe(size);
          for (const index of order) {
            for (const other of edgesOf(index)) expect(place.get(other)).toBeLessThan(place.get(index) ?? -1);
          }
        },
      ),
      { numRuns: propertyRuns(50) },
    );
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { listAuthChain } from '../../../../src/engine/graph/auth-chain.ts';
import type { ListAuthEdges } from '../../../../src/engine/graph/auth-edges.ts';
import { choosePrevEvents, depthAfter, depthMax, nextExtremities } from '../../../../src/engine/graph/extremities.ts';
import { Heap } from '../../../../src/engine/graph/heap.ts';
import { sortByAuthEvents, sortByPrevEvents } from '../../../../src/engine/graph/topological.ts';
import type { EventId } from '../../../../src/matrix/ids.ts';
import { authEventIdsOf, prevEventIdsOf, type RoomEvent } from '../../../../src/matrix/pdu.ts';
import { SketchedRoom } from '../../../support/room-events.ts';

const alice = '@alice:a.test';

describe('the heap', () => {
  it('gives back what it was given, in order', () => {
    fc.assert(
      fc.property(fc.array(fc.integer()), (numbers) => {
        const heap = new Heap<number>((x, y) => x - y);
        for (const number of numbers) heap.push(number);
        expect(heap.size).toBe(numbers.length);
        const popped = numbers.map(() => heap.pop());
        expect(popped).toEqual([...numbers].sort((x, y) => x - y));
        expect(heap.pop()).toBeUndefined();
      }),
    );
  });
});

describe('the topological order', () => {
  const room = new SketchedRoom('11', alice);
  /** Each event names some of those before it; depths lie, as those of other servers may. */
  const rows = fc.array(fc.record({ to: fc.array(fc.nat(9), { maxLength: 3 }), depth: fc.nat(3), ts: fc.nat(2) }), {
    minLength: 1,
    maxLength: 10,
  });
  const shuffles = rows.chain((list) => {
    const events: RoomEvent[] = [];
    for (const { to, depth, ts } of list) {
      const named = [...new Set(to)].map((index) => events[index]).filter((event) => event !== undefined);
      events.push(room.event({ type: `x${events.length}`, sender: alice, prev: named, auth: named, depth, ts }));
    }
    return fc.record({
      events: fc.constant(events),
      shuffled: fc.shuffledSubarray(events, { minLength: events.length }),
    });
  });

  it.each([
    ['previous', prevEventIdsOf, sortByPrevEvents],
    ['auth', authEventIdsOf, sortByAuthEvents],
  ] as const)(
    'puts every event behind its %s events, whatever the order it is told',
    async (_name, parentsOf, sort) => {
      await fc.assert(
        fc.asyncProperty(shuffles, async ({ events, shuffled }) => {
          const order = (await sort(shuffled)).map((event) => event.eventId);
          expect([...order].sort()).toEqual(events.map((event) => event.eventId).sort());
          for (const event of events) {
            for (const parent of parentsOf(event.pdu)) {
              expect(order.indexOf(parent)).toBeLessThan(order.indexOf(event.eventId));
            }
          }
          expect((await sort(events)).map((event) => event.eventId)).toEqual(order);
        }),
      );
    },
  );

  it('gives a duplicate once and leaves out a circle, which only forged ids can make', async () => {
    const event = room.event({ type: 'x', sender: alice });
    expect(await sortByPrevEvents([event, event])).toEqual([event]);
    const first = { ...event, eventId: '$1' as EventId, pdu: { ...event.pdu, prev_events: ['$2' as EventId] } };
    const second = { ...event, eventId: '$2' as EventId, pdu: { ...event.pdu, prev_events: ['$1' as EventId] } };
    expect(await sortByPrevEvents([first, second, event])).toEqual([event]);
  });
});

describe('forward extremities', () => {
  const room = new SketchedRoom('11', alice);
  const first = room.event({ type: 'a', sender: alice });
  const second = room.event({ type: 'b', sender: alice });
  const merge = room.event({ type: 'c', sender: alice, prev: [first, second] });

  it('are replaced by the event that names them', () => {
    expect([...nextExtremities([first.eventId], second)]).toEqual([first.eventId, second.eventId]);
    expect([...nextExtremities([first.eventId, second.eventId], merge)]).toEqual([merge.eventId]);
  });

  it('do not gain an event that something builds on already', () => {
    expect([...nextExtremities([merge.eventId], first, true)]).toEqual([merge.eventId]);
  });

  it('become at most twenty previous events, the deepest', () => {
    const many = Array.from({ length: 30 }, (_, depth) => ({ eventId: `$${depth}` as EventId, depth }));
    const chosen = choosePrevEvents(many);
    expect(chosen.map(({ depth }) => depth)).toEqual(Array.from({ length: 20 }, (_, index) => 29 - index));
    expect(choosePrevEvents(many.slice(0, 3))).toHaveLength(3);
  });

  it('give the depth of the next event, which ends at the limit', () => {
    expect(depthAfter([])).toBe(1);
    expect(
      depthAfter([
        { eventId: first.eventId, depth: 4 },
        { eventId: second.eventId, depth: 7 },
      ]),
    ).toBe(8);
    expect(depthAfter([{ eventId: first.eventId, depth: depthMax }])).toBe(depthMax);
  });
});

describe('the auth chain', () => {
  const edges: Record<string, string[]> = { $d: ['$c', '$b'], $c: ['$b', '$a'], $b: ['$a'], $a: [] };
  const reads: EventId[][] = [];
  const list = async (ids: readonly EventId[]) => {
    reads.push([...ids]);
    return new Map(ids.filter((id) => edges[id]).map((id) => [id, edges[id] as EventId[]]));
  };

  it('is all that can be reached, read by level, each event once', async () => {
    expect([...(await listAuthChain(['$d' as EventId], list))]).toEqual(['$c', '$b', '$a']);
    expect(reads).toEqual([['$d'], ['$c', '$b'], ['$a']]);
  });

  it('has one of the events asked about only if another cites it', async () => {
    expect([...(await listAuthChain(['$c', '$b'] as EventId[], list))].sort()).toEqual(['$a', '$b']);
    expect([...(await listAuthChain(['$unknown' as EventId], list))]).toEqual([]);
  });

  it('stops at the limit', async () => {
    expect((await listAuthChain(['$d' as EventId], list, 2)).size).toBe(2);
  });

  /** Answers with what lies below as well, as a storage does; counts what it is asked and what it tells. */
  function storageOf(graph: ReadonlyMap<EventId, readonly EventId[]>) {
    const counts = { calls: 0, told: 0 };
    const tell: ListAuthEdges = async (ids, ahead) => {
      const told = new Map<EventId, readonly EventId[]>();
      const queue = new Set(ids);
      // A set's iterator also visits what is added while it runs.
      for (const id of queue) {
        const cited = graph.get(id);
        if (cited && told.size < ids.length + ahead) told.set(id, cited);
        for (const authEvent of cited ?? []) if (queue.size < ids.length + ahead) queue.add(authEvent);
      }
      counts.calls += 1;
      counts.told += told.size;
      return told;
    };
    return { tell, counts };
  }
  const chainOf = (name: string, length: number, more: readonly EventId[] = []): [EventId, EventId[]][] =>
    Array.from({ length }, (_, index) => [
      `$${name}${index}` as EventId,
      [...(index + 1 < length ? [`$${name}${index + 1}` as EventId] : []), ...more],
    ]);

  it('of thousands of levels is read in few goes', async () => {
    const { tell, counts } = storageOf(new Map(chainOf('a', 20_000)));
    expect((await listAuthChain(['$a0' as EventId], tell)).size).toBe(19_999);
    expect(counts.calls).toBeLessThan(60);
    expect(counts.told).toBeLessThan(21_000);
  });

  it('is not read over and over where each level leads to the same thousands of events', async () => {
    const wide = Array.from({ length: 3_000 }, (_, index) => `$wide${index}` as EventId);
    const top = '$top' as EventId;
    const graph = new Map<EventId, readonly EventId[]>([
      ...chainOf('a', 2_000, [top]),
      [top, wide],
      ...wide.map((id): [EventId, EventId[]] => [id, []]),
    ]);
    const { tell, counts } = storageOf(graph);
    expect((await listAuthChain(['$a0' as EventId], tell)).size).toBe(1_999 + 1 + 3_000);
    expect(counts.told).toBeLessThan(4 * graph.size);
  });
});

import { describe, expect, it } from 'vitest';
import { listFullConflicted } from '../../../../src/engine/state-res/conflicted.ts';
import { orderByMainline } from '../../../../src/engine/state-res/mainline.ts';
import { orderByPower } from '../../../../src/engine/state-res/power-order.ts';
import { resolveState } from '../../../../src/engine/state-res/resolve.ts';
import { EventCache } from '../../../../src/engine/state-res/sources.ts';
import { listDifferingPlaces, readStateSets } from '../../../../src/engine/state-res/state-sets.ts';
import type { StateMap } from '../../../../src/matrix/pdu.ts';
import { CaseRoom, idOf, listResolutionCases, nameOf, type ResolutionCase } from '../../../support/resolution-case.ts';
import { resolveNaively } from './naive-resolve.ts';

const cases = listResolutionCases();

async function fullConflictedOf(room: CaseRoom, states: readonly StateMap[]): Promise<string[]> {
  const sets = await readStateSets(room.input(states).stateSets);
  const conflict = { sets, places: await listDifferingPlaces(sets) };
  const full = await listFullConflicted(
    conflict,
    new EventCache(room.input(states)),
    room.version.stateResolution === 'v2.1',
  );
  return [...full].map(nameOf).sort();
}

async function checkResolution(room: CaseRoom, states: readonly StateMap[], facts: ResolutionCase): Promise<void> {
  const { state } = await resolveState(room.input(states));
  const names = [...state.values()].map(nameOf).sort();
  if (facts.resolved) expect(names).toEqual([...facts.resolved].sort());
  for (const id of facts.holds ?? []) expect(names).toContain(id);
  for (const id of facts.lacks ?? []) expect(names).not.toContain(id);
  const backwards = await resolveState(room.input([...states].reverse()));
  expect([...backwards.state.values()].map(nameOf).sort()).toEqual(names);
  const byOracle = resolveNaively(room.version, states, room.events, room.rejected);
  expect([...byOracle.values()].map(nameOf).sort()).toEqual(names);
}

async function checkOrders(room: CaseRoom, facts: ResolutionCase): Promise<void> {
  const cache = new EventCache(room.input([]));
  const ids = (facts.sorted ?? []).map(idOf);
  await cache.load(room.events.keys());
  if (facts.powerOrder) {
    const order = await orderByPower(new Set(ids), cache, room.version);
    expect(order.map(({ eventId }) => nameOf(eventId))).toEqual(facts.powerOrder);
  }
  if (facts.mainlineOrder && facts.mainline !== undefined) {
    const events = (facts.sorted ?? []).map((id) => room.get(id));
    const order = await orderByMainline(events, idOf(facts.mainline), cache);
    expect(order.map(({ eventId }) => nameOf(eventId))).toEqual(facts.mainlineOrder);
  }
}

describe.each(cases.map((each) => [each.file, each.facts.name, each.version, each.facts] as const))(
  '%s: %s, in room version %s',
  (_file, _name, version, facts) => {
    it('comes out as published', async () => {
      const room = await CaseRoom.build(version, facts);
      if (facts.sorted) return checkOrders(room, facts);
      const states = room.states();
      const full = await fullConflictedOf(room, states);
      if (facts.fullConflicted) expect(full).toEqual([...facts.fullConflicted].sort());
      for (const id of facts.notInFullConflicted ?? []) expect(full).not.toContain(id);
      // With the conflicted state set, with which it is united anyway.
      for (const id of facts.authDifference ?? []) expect(full).toContain(id);
      if (facts.resolved || facts.holds || facts.lacks) await checkResolution(room, states, facts);
      if (facts.alsoEachAlone) await checkResolution(room, room.statesOfOne(), facts);
    });
  },
);

describe('the published cases', () => {
  it('are there', () => {
    expect(cases.length).toBeGreaterThan(150);
    for (const { facts } of cases) {
      const claims = [facts.resolved, facts.holds, facts.fullConflicted, facts.authDifference, facts.sorted];
      expect(claims.some((claim) => claim !== undefined)).toBe(true);
    }
  });
});

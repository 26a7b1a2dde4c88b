import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { resolveState } from '../../../../src/engine/state-res/resolve.ts';
import type { StateMap } from '../../../../src/matrix/pdu.ts';
import { supportedRoomVersions } from '../../../../src/matrix/room-versions.ts';
import { propertyRuns } from '../../../support/property-runs.ts';
import { idsOf } from './forked-room.ts';
import { resolveNaively } from './naive-resolve.ts';
import { lapse, lapses, play, step } from './random-room.ts';

const steps = fc.array(step, { maxLength: 16 });
const shuffled = (state: StateMap): StateMap => new Map([...state].reverse());

describe.each(supportedRoomVersions)('any room of version %s that forks', (version) => {
  it('resolves as the specification says, in whatever order it is told', async () => {
    let differing = 0;
    await fc.assert(
      fc.asyncProperty(steps, lapses, async (list, faults) => {
        const { forked, forks } = play(version, list);
        lapse(forked, forks, faults);
        const states = forks.map(idsOf);
        const resolve = async (sets: readonly StateMap[]) => sorted((await resolveState(forked.input(sets))).state);
        const resolved = await resolve(states);
        expect(resolved).toEqual(sorted(resolveNaively(forked.room.version, states, forked.room.events)));
        expect(await resolve([...states].reverse().map(shuffled))).toEqual(resolved);
        expect(await resolve([...states, ...states.map(shuffled)])).toEqual(resolved);
        if (states.some((state) => JSON.stringify(sorted(state)) !== JSON.stringify(resolved))) differing += 1;
      }),
      { numRuns: propertyRuns(40) },
    );
    // The sample was no idle one.
    expect(differing).toBeGreaterThan(10);
  });

  it('stays as it was resolved, and its difference to the first state is told rightly', async () => {
    await fc.assert(
      fc.asyncProperty(steps, lapses, async (list, faults) => {
        const { forked, forks } = play(version, list);
        lapse(forked, forks, faults);
        const states = forks.map(idsOf);
        const { state, set, removed, sameAs } = await resolveState(forked.input(states));
        const again = await resolveState(forked.input([state, new Map(state)]));
        expect(sorted(again.state)).toEqual(sorted(state));
        const changed = new Map([...(states[0] ?? []), ...set]);
        for (const key of removed) expect(changed.delete(key)).toBe(true);
        expect(sorted(changed)).toEqual(sorted(state));
        const same = states.findIndex((each) => JSON.stringify(sorted(each)) === JSON.stringify(sorted(state)));
        expect(sameAs ?? -1).toBe(same);
      }),
      { numRuns: propertyRuns(20) },
    );
  });

  it('keeps what all sides agree on', async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (list) => {
        const { forked, forks } = play(version, list);
        const states = forks.map(idsOf);
        const { state } = await resolveState(forked.input(states));
        for (const [key, eventId] of states[0] ?? []) {
          if (states.every((each) => each.get(key) === eventId)) expect(state.get(key)).toBe(eventId);
        }
      }),
      { numRuns: propertyRuns(10) },
    );
  });
});

function sorted(state: StateMap): [string, string][] {
  return [...state].sort(([x], [y]) => (x < y ? -1 : 1));
}

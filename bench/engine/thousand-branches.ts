import { resolveState } from '../../src/engine/state-res/resolve.ts';
import type { Deviation, Resolution, ToldStates } from '../../src/engine/state-res/state-sets.ts';
import type { EventId } from '../../src/matrix/ids.ts';
import { type StateKey, type StateMap, stateKeyOf } from '../../src/matrix/pdu.ts';
import type { Measure } from '../support/report.ts';
import type { BenchPart } from '../support/run.ts';
import { watch } from '../support/watch.ts';
import { creator, type Fork, idsOf, LargeRoom, memberName, moderator } from './forked-room.ts';

const members = 10_000;

/**
 * A room of 10,000 whose graph has a thousand ends: in each somebody renamed himself, in some there is a topic, a ban or other power
 * levels. The states are told as storage tells them: one, and how each of the others deviates from it. Each would take a megabyte.
 */
export const thousandBranchesPart: BenchPart = {
  name: 'fork of 1 000 branches',
  run: async ({ set }) => {
    const branches = set.get('branches') ?? 1_000;
    const measures: Measure[] = [];
    for (const version of ['1', '11', '12']) {
      const large = new LargeRoom(version, members);
      const changes = Array.from({ length: branches }, (_, index) => branchOf(large, index));
      const resolve = (): Promise<Resolution> =>
        resolveState({ version: large.room.version, stateSets: tell(idsOf(large.base), changes), ...large.sources() });
      const watched = await watch(resolve);
      const name = `${branches} branches of 10 000, v${version}`;
      measures.push(
        { name: `${name}: heap at most`, unit: 'MiB', value: watched.heapPeakMiB, bound: { atMost: 48 } },
        { name: `${name}: time`, unit: 'ms', value: watched.elapsedMs },
        { name: `${name}: longest turn of the loop`, unit: 'ms', value: watched.longestTurnMs },
      );
    }
    return measures;
  },
};

function tell(base: StateMap, changes: readonly Fork[]): ToldStates {
  const [ofFirst = new Map(), ...ofOthers] = changes.map(idsOf);
  function* others(): Generator<Deviation> {
    for (const change of ofOthers) {
      const deviation = new Map<StateKey, EventId | undefined>(change);
      for (const key of ofFirst.keys()) if (!change.has(key)) deviation.set(key, base.get(key));
      yield deviation;
    }
  }
  return { first: new Map([...base, ...ofFirst]), others: others() };
}

/** What one branch has other than the room before it. */
function branchOf(large: LargeRoom, index: number): Fork {
  const fork = new Map(large.base);
  const user = memberName(index);
  large.member(fork, user, { membership: 'join', displayname: `branch ${index}` });
  if (index % 10 === 1) large.state(fork, 'm.room.topic', moderator, { topic: `${index}` });
  if (index % 50 === 2) large.member(fork, memberName(index + 1), { membership: 'ban' }, moderator);
  if (index % 100 === 3) {
    const levels = large.base.get(stateKeyOf('m.room.power_levels', ''))?.pdu.content ?? {};
    large.state(fork, 'm.room.power_levels', creator, { ...levels, kick: 50 + (index % 40) });
  }
  return new Map([...fork].filter(([key, event]) => large.base.get(key) !== event));
}

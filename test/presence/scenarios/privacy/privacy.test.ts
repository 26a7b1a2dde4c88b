import { describe, it } from 'vitest';
import { paths } from './paths.ts';
import { members, type Scenario, scenarios, strangers } from './scenarios.ts';
import { type Arrangement, type Moment, play, type Stage } from './stage.ts';

/**
 * Every scenario × every way to read presence × before a restart, and after one that was in order or was not. A new scenario is a row of `scenarios.ts`, a new way
 * an entry of `paths.ts`.
 */
const moments: readonly Moment[] = ['before a restart', 'after a restart', 'after a crash'];

describe.each(scenarios.map((scenario) => [scenario.name, scenario] as const))('%s', (_, scenario) => {
  describe.each(moments)('%s', (moment) => {
    const stageOf = stages(scenario, moment);
    it.each(paths.map((path) => [path.name, path] as const))('on %s', async (_name, path) => {
      const stage = await stageOf(path.arrangement);
      for (const viewer of [...members, ...strangers]) await path.check(stage, viewer, scenario);
    });
  });
});

/** Played once for all paths that look at the same. */
function stages(scenario: Scenario, moment: Moment): (arrangement: Arrangement) => Promise<Stage> {
  const played = new Map<Arrangement, Promise<Stage>>();
  return (arrangement) => {
    const stage = played.get(arrangement) ?? play(scenario, arrangement, moment);
    played.set(arrangement, stage);
    return stage;
  };
}

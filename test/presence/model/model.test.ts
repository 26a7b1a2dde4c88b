import fc from 'fast-check';
import { describe, it } from 'vitest';
import { devices } from './owner.ts';
import { Play, type Rules } from './play.ts';
import { everybody, mishaps, owners, pauses, places, type Step } from './story.ts';

/**
 * Two whole presences and a third server that speaks the wire; whatever happens, in the end everybody sees what thirty lines
 * written from the specification say, and on the way nobody is shown what was said after they were denied.
 */

/** A case takes 30 ms: 200 six seconds, 20,000 ten minutes of one core. MODEL_CASES says how many there are to be instead. */
const cases = Number(process.env.MODEL_CASES ?? (process.env.LANTERN_TEST_LONG === '1' ? 20_000 : 200));

const entry = fc.constantFrom<string>(...everybody, ...places, '@*', '@*:there.test', '@*:wire.test', '@a*', '@?e*:*');
const config = fc.record({ allowed: fc.array(entry, { maxLength: 2 }), denied: fc.array(entry, { maxLength: 2 }) });
const who = fc.constantFrom(...owners);
const device = fc.constantFrom(...devices);
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      does: fc.constant('says' as const),
      who,
      state: fc.constantFrom('online' as const, 'unavailable' as const, 'offline' as const),
      device,
    }),
  },
  { weight: 1, arbitrary: fc.record({ does: fc.constantFrom('hides' as const, 'logs out' as const), who }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('acts' as const), who, device }) },
  {
    weight: 4,
    arbitrary: fc.record({
      does: fc.constant('enters or leaves' as const),
      who: fc.constantFrom(...everybody),
      where: fc.constantFrom(...places),
    }),
  },
  { weight: 6, arbitrary: fc.record({ does: fc.constant('shares' as const), who, config }) },
  {
    weight: 2,
    arbitrary: fc.record({
      does: fc.constant('ignores' as const),
      who,
      whom: fc.uniqueArray(fc.constantFrom(...everybody), { maxLength: 2 }),
    }),
  },
) satisfies fc.Arbitrary<Step>;
const batch = fc.uniqueArray(step, { minLength: 1, maxLength: 3, selector: (each) => each.who });
const pause = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...pauses) },
  { weight: 1, arbitrary: fc.constantFrom(...mishaps) },
);
const play = fc.array(fc.tuple(batch, pause), { minLength: 1, maxLength: 10 });

const byDefault = { allowed: [places[1]], denied: ['@*'] };
const override = { allowed: [], denied: ['@*:wire.test', owners[1]] };
const rules = fc.constantFrom<Rules>(
  {},
  { goesIdle: true },
  { beginsApart: true },
  { settings: { unawareServers: 'withhold' } },
  { settings: { unawareServers: 'withhold' }, wireIsUnaware: true },
  { settings: { unawareServers: 'whole_server_only' }, wireIsUnaware: true },
  { wireIsUnaware: true },
  { settings: { excludedRooms: [places[1]] }, facts: { excluded: [places[1]] } },
  { settings: { largestRoom: 4 }, facts: { largestRoom: 4 } },
  {
    settings: {
      defaultConfig: { allowed_users: byDefault.allowed, denied_users: byDefault.denied },
      overrideConfig: { denied_users: override.denied },
    },
    facts: { byDefault, override },
  },
);

describe('whatever happens', () => {
  it('everybody sees in the end what the oracle says, and nobody what was said after they were denied', {
    timeout: 7_200_000,
  }, async () => {
    await fc.assert(
      fc.asyncProperty(rules, play, async (chosen, batches) => {
        const played = await Play.start(chosen);
        for (const [steps, pause] of batches) {
          await played.act(steps);
          await played.pause(pause);
        }
        await played.end();
      }),
      { numRuns: cases },
    );
  });
});

import fc from 'fast-check';
import { describe, it } from 'vitest';
import { everybody, owners, Play, pauses, places, type Rules, type Step } from './play.ts';

/**
 * Two whole presences and a third server that speaks the wire; whatever happens, in the end everybody sees what thirty lines
 * written from the specification say, and on the way nobody is shown what was said after they were denied.
 */

/** A thousand take a minute and a half; MODEL_CASES asks for more. */
const cases = Number(process.env.MODEL_CASES ?? 200);

const entry = fc.constantFrom<string>(...everybody, ...places, '@*', '@*:there.test', '@*:wire.test', '@a*', '@?e*:*');
const config = fc.record({ allowed: fc.array(entry, { maxLength: 2 }), denied: fc.array(entry, { maxLength: 2 }) });
const who = fc.constantFrom(...owners);
const step = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      does: fc.constant('says' as const),
      who,
      state: fc.constantFrom('online' as const, 'unavailable' as const, 'offline' as const),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      does: fc.constant('enters or leaves' as const),
      who: fc.constantFrom(...everybody),
      where: fc.constantFrom(...places),
    }),
  },
  { weight: 3, arbitrary: fc.record({ does: fc.constant('shares' as const), who, config }) },
  {
    weight: 1,
    arbitrary: fc.record({
      does: fc.constant('ignores' as const),
      who,
      whom: fc.uniqueArray(fc.constantFrom(...everybody), { maxLength: 2 }),
    }),
  },
) satisfies fc.Arbitrary<Step>;
const batch = fc.uniqueArray(step, { minLength: 1, maxLength: 3, selector: (each) => each.who });
const play = fc.array(fc.tuple(batch, fc.constantFrom(...pauses)), { minLength: 1, maxLength: 10 });

const none = { excluded: [], byDefault: null, override: null };
const byDefault = { allowed: [places[1]], denied: ['@*'] };
const override = { allowed: [], denied: ['@*:wire.test', owners[1]] };
const rules = fc.constantFrom<Rules>(
  { settings: {}, facts: none },
  { settings: { unawareServers: 'withhold' }, facts: none },
  { settings: { excludedRooms: [places[1]] }, facts: { ...none, excluded: [places[1]] } },
  {
    settings: {
      defaultConfig: { allowed_users: byDefault.allowed, denied_users: byDefault.denied },
      overrideConfig: { denied_users: override.denied },
    },
    facts: { ...none, byDefault, override },
  },
);

describe('whatever happens', () => {
  it('everybody sees in the end what the oracle says, and nobody what was said after they were denied', {
    timeout: 3_600_000,
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

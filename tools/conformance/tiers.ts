import { InputError, parseJson } from './results.ts';

/** One top-level test of Complement, as `conformance/tiers.json` has it. */
export interface TieredTest {
  readonly package: string;
  readonly test: string;
  /** `1a` client core, `1b` federation core, `1c` room version 12, `2` expected of small servers, `3` the rest. */
  readonly tier: string;
  /** Names of its leaf subtests, without that of the test. */
  readonly leaves: readonly string[];
}

/** `{"packages": {package: {test: {"tier", "leaves"}}}}`. Throws InputError. */
export function parseTiers(text: string): readonly TieredTest[] {
  const { packages } = objectOf(parseJson(text), 'the tiers');
  return Object.entries(objectOf(packages, 'packages')).flatMap(([packageName, tests]) =>
    Object.entries(objectOf(tests, packageName)).map(([test, entry]) => {
      const { tier, leaves } = objectOf(entry, test);
      if (typeof tier !== 'string' || !isTexts(leaves)) throw new InputError(`${test}: needs a tier and its leaves`);
      return { package: packageName, test, tier, leaves };
    }),
  );
}

function objectOf(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new InputError(`${what}: must be an object`);
  return value as Record<string, unknown>; // what JSON calls an object
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

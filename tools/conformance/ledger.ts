import type { TestRun } from './go-test-output.ts';
import { InputError, isOutcome, leavesOf, type Outcome, parseJson, type Results, splitName } from './results.ts';
import type { TieredTest } from './tiers.ts';

/** `conformance/complement.json`: every top-level test and every leaf subtest of a whole run. */
export interface Ledger {
  /** Complement's commit. */
  readonly complement: string;
  /** In order of their names. */
  readonly results: Results;
}

/**
 * The ledger of a run. Throws InputError, with everything that is wrong, if the run was not whole: a package that did not end, a test
 * without a result, with two, or in no tier. A leaf that was never reached is what its test is: failed, or skipped with it.
 */
export function makeLedger(run: TestRun, tests: readonly TieredTest[], complement: string): Ledger {
  const problems = listProblems(run, tests);
  if (problems.length > 0) throw new InputError(`This was not a whole run:\n  ${problems.join('\n  ')}`);
  const found = leavesOf(run.results.keys());
  const results = new Map([...run.results].filter(([name]) => found.has(name) || splitName(name).subtest === ''));
  for (const { package: packageName, test, leaves } of tests) {
    const name = `${packageName}/${test}`;
    const unreached: Outcome = run.results.get(name) === 'skip' ? 'skip' : 'fail';
    for (const leaf of leaves) if (!run.results.has(`${name}/${leaf}`)) results.set(`${name}/${leaf}`, unreached);
  }
  return { complement, results: sorted(results) };
}

function listProblems({ results, packages, repeated }: TestRun, tests: readonly TieredTest[]): string[] {
  const known = new Set(tests.map((test) => `${test.package}/${test.test}`));
  const problems = [...new Set(tests.map((test) => test.package))]
    .filter((name) => !packages.has(name))
    .map((name) => `${name}: the package did not come to its end`);
  for (const name of known) if (!results.has(name)) problems.push(`${name}: was not run`);
  for (const name of results.keys()) {
    if (splitName(name).subtest === '' && !known.has(name)) problems.push(`${name}: is in no tier`);
  }
  for (const name of repeated) problems.push(`${name}: has two results`);
  return problems;
}

export function encodeLedger({ complement, results }: Ledger): string {
  return `${JSON.stringify({ complement, results: Object.fromEntries(sorted(results)) }, null, 1)}\n`;
}

/** Throws InputError. */
export function parseLedger(text: string): Ledger {
  const { complement, results } = (parseJson(text) ?? {}) as { complement?: unknown; results?: unknown }; // checked below
  if (typeof complement !== 'string' || typeof results !== 'object' || results === null)
    throw new InputError('not a ledger: it needs "complement" and "results"');
  const outcomes = Object.entries(results).map(([name, outcome]: [string, unknown]): [string, Outcome] => {
    if (!isOutcome(outcome)) throw new InputError(`${name}: ${String(outcome)} is no outcome`);
    return [name, outcome];
  });
  return { complement, results: sorted(outcomes) };
}

function sorted(results: Iterable<readonly [string, Outcome]>): Map<string, Outcome> {
  return new Map([...results].sort(([a], [b]) => (a < b ? -1 : 1)));
}

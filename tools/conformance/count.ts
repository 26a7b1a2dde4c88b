import { leavesOf, type Outcome, type Results, splitName } from './results.ts';
import type { TieredTest } from './tiers.ts';

/** How many passed, failed, were skipped. */
export type Tally = Record<Outcome, number>;

/** What a row of a table counts: tests, their leaf subtests, and checks: leaf subtests and tests without any. */
export interface Count {
  readonly tests: Tally;
  readonly leaves: Tally;
  readonly checks: Tally;
}

/** Row → count, in the order of the rows' names. */
export type Counts = ReadonlyMap<string, Count>;

/** `rowOf` says in which row a test is counted; undefined: in none. */
export function countResults(results: Results, rowOf: (name: string) => string | undefined): Counts {
  const leaves = leavesOf(results.keys());
  const rows = new Map<string, Count>();
  for (const [name, outcome] of results) {
    const row = rowOf(name);
    if (row === undefined) continue;
    const count = rows.get(row) ?? emptyCount();
    rows.set(row, count);
    const isTest = splitName(name).subtest === '';
    if (isTest) count.tests[outcome]++;
    else if (leaves.has(name)) count.leaves[outcome]++;
    if (leaves.has(name)) count.checks[outcome]++;
  }
  return new Map([...rows].sort(([a], [b]) => (a < b ? -1 : 1)));
}

export function countByPackage(results: Results): Counts {
  return countResults(results, (name) => splitName(name).package);
}

export function countByTier(results: Results, tests: readonly TieredTest[]): Counts {
  const tierOf = new Map(tests.map((test) => [`${test.package}/${test.test}`, test.tier]));
  return countResults(results, (name) => {
    const { package: packageName, test } = splitName(name);
    return tierOf.get(`${packageName}/${test}`);
  });
}

export function sumCounts(counts: Counts): Count {
  const sum = emptyCount();
  for (const count of counts.values()) {
    for (const kind of ['tests', 'leaves', 'checks'] as const) {
      for (const outcome of ['pass', 'fail', 'skip'] as const) sum[kind][outcome] += count[kind][outcome];
    }
  }
  return sum;
}

function emptyCount(): Count {
  return {
    tests: { pass: 0, fail: 0, skip: 0 },
    leaves: { pass: 0, fail: 0, skip: 0 },
    checks: { pass: 0, fail: 0, skip: 0 },
  };
}

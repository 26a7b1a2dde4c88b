import type { TestRun } from './go-test-output.ts';
import { InputError, leavesOf, type Results, splitName } from './results.ts';
import type { TieredTest } from './tiers.ts';

/** Runs of the same tests with one pair of implementations. */
export interface PairRun {
  /** What ran as `hs1`. */
  readonly first: string;
  /** What ran as `hs2`. */
  readonly second: string;
  readonly run: TestRun;
}

/** Reads `HS1/HS2=OUTPUT`. Throws InputError. */
export function parsePair(argument: string): { first: string; second: string; file: string } {
  const {
    first = '',
    second = '',
    file = '',
  } = /^(?<first>[^/=]+)\/(?<second>[^/=]+)=(?<file>.+)$/s.exec(argument)?.groups ?? {};
  if (file === '') throw new InputError(`${argument}: must be HS1/HS2=OUTPUT, such as lantern/synapse=output`);
  return { first, second, file };
}

/**
 * `conformance/interop.md`: one row for each test, one column for each pair. Throws InputError, with everything that is wrong, unless every
 * pair has exactly one result of the same tests, each of which has a tier.
 */
export function encodeInterop(pairs: readonly PairRun[], tests: readonly TieredTest[], complement: string): string {
  const tierOf = new Map(tests.map((test) => [`${test.package}/${test.test}`, test.tier]));
  const names = listTests(pairs);
  const problems = listProblems(pairs, names, tierOf);
  if (problems.length > 0) throw new InputError(`These runs cannot be compared:\n  ${problems.join('\n  ')}`);
  const rows = names.map((name) => ({ name, tier: tierOf.get(name) ?? '' }));
  rows.sort((a, b) => compare(a.tier, b.tier) || compare(a.name, b.name));
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return `# Two implementations

What [Complement](https://github.com/matrix-org/complement), commit ${complement}, says when homeservers of two kinds federate with each other: \`hs2\` is of the second kind, \`hs1\` and
\`hs3\` are of the first. The suite is unmodified and without build tags. Written by \`npm run conformance:interop\` from outputs and from nothing else; what lies behind
a failure stands in \`tools/complement-host/README.md\`.

${[
  line(['tier', 'test', ...pairs.map(({ first, second }) => `${first}, ${second}`)]),
  `|---|---|${pairs.map(() => '---|').join('')}`,
  ...rows.map(({ name, tier }) => {
    const { package: packageName, test } = splitName(name);
    return line([tier, `\`${packageName}\` ${test}`, ...pairs.map(({ run }) => describe(run.results, name))]);
  }),
  line([
    '',
    '**passed**',
    ...pairs.map(({ run }) => `${names.filter((name) => run.results.get(name) === 'pass').length} of ${names.length}`),
  ]),
].join('\n')}
`;
}

function listTests(pairs: readonly PairRun[]): string[] {
  const all = pairs.flatMap(({ run }) => [...run.results.keys()]);
  return [...new Set(all)].filter((name) => splitName(name).subtest === '');
}

function listProblems(
  pairs: readonly PairRun[],
  names: readonly string[],
  tierOf: ReadonlyMap<string, string>,
): string[] {
  const problems = names.filter((name) => !tierOf.has(name)).map((name) => `${name}: is in no tier`);
  if (names.length === 0) problems.push('there is no result');
  for (const { first, second, run } of pairs) {
    const pair = `${first}, ${second}`;
    for (const name of names) if (!run.results.has(name)) problems.push(`${pair}: ${name} was not run`);
    for (const name of run.repeated) problems.push(`${pair}: ${name} has two results`);
  }
  return problems;
}

function describe(results: Results, name: string): string {
  const outcome = results.get(name);
  if (outcome !== 'fail') return outcome ?? '';
  const leaves = [...leavesOf(results.keys())].filter((leaf) => leaf.startsWith(`${name}/`));
  const failed = leaves.filter((leaf) => results.get(leaf) === 'fail').length;
  return leaves.length === 0 ? '**fail**' : `**fail** (${failed} of ${leaves.length} leaves)`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

import { type Count, type Counts, countByPackage, countByTier, sumCounts, type Tally } from './count.ts';
import type { Ledger } from './ledger.ts';
import { leavesOf, type Results, splitName } from './results.ts';
import type { TieredTest } from './tiers.ts';

const tierNames: Readonly<Record<string, string>> = {
  '1a': '1a: client-server core',
  '1b': '1b: federation core',
  '1c': '1c: room version 12',
  '2': '2: expected of small homeservers',
  '3': '3: the rest',
};

/** `conformance/README.md` */
export function encodeReport({ complement, results }: Ledger, tests: readonly TieredTest[]): string {
  return `# Conformance

What [Complement](https://github.com/matrix-org/complement), commit ${complement}, says of Lantern: the unmodified suite, without build tags.
\`complement.json\` has every test and leaf subtest; \`tiers.json\` says which tests belong to which tier, and which leaves they have. This
page and \`complement.json\` are written by \`npm run conformance:record\`, from the output of a whole run and from nothing else; \`tools/conformance\` says how.
What it says when Lantern and Synapse federate with each other stands in \`interop.md\`.

A cell is *passed / failed / skipped*. Checks are leaf subtests, and tests that have none. A leaf that was not reached counts as failed.

${table('tier', countByTier(results, tests), (tier) => tierNames[tier] ?? tier)}

${table('package', countByPackage(results), (name) => `\`${name}\``)}

## What does not pass

${listNotPassed(results)}
`;
}

/** The tables and what did not pass, for a terminal. */
export function describeResults(results: Results, tests: readonly TieredTest[]): string {
  const tiers = table('tier', countByTier(results, tests), (tier) => tier);
  const packages = table('package', countByPackage(results), (name) => name);
  return `${tiers}\n\n${packages}\n\n${listNotPassed(results)}\n`;
}

function table(title: string, counts: Counts, labelOf: (row: string) => string): string {
  const rows = [...counts].map(([row, count]) => line(labelOf(row), count));
  return [
    `| ${title} | tests | leaf subtests | checks |`,
    '|---|--:|--:|--:|',
    ...rows,
    line('**total**', sumCounts(counts)),
  ].join('\n');
}

function line(label: string, { tests, leaves, checks }: Count): string {
  return `| ${label} | ${cell(tests)} | ${cell(leaves)} | ${cell(checks)} |`;
}

function cell({ pass, fail, skip }: Tally): string {
  return `${pass} / ${fail} / ${skip}`;
}

/** One line for each top-level test that did not pass as a whole, with how many of its leaves failed or were skipped. */
function listNotPassed(results: Results): string {
  const lines: string[] = [];
  const leaves = [...leavesOf(results.keys())];
  for (const [name, outcome] of results) {
    const { package: packageName, test, subtest } = splitName(name);
    if (subtest !== '') continue;
    const own = leaves.filter((leaf) => leaf.startsWith(`${name}/`));
    const failed = own.filter((leaf) => results.get(leaf) === 'fail').length;
    const skipped = own.filter((leaf) => results.get(leaf) === 'skip').length;
    if (outcome === 'pass' && failed + skipped === 0) continue;
    const verdict = { pass: 'passed', fail: 'failed', skip: 'skipped' }[outcome];
    const detail = own.length === 0 ? '' : `; of ${own.length} leaf subtests ${failed} failed, ${skipped} were skipped`;
    lines.push(`- \`${packageName}\` ${test} (${verdict}${detail})`);
  }
  return lines.length === 0 ? 'Nothing.' : lines.join('\n');
}

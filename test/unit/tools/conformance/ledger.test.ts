import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { compareLedgers, describeComparison } from '../../../../tools/conformance/compare.ts';
import { countByPackage, countByTier, sumCounts } from '../../../../tools/conformance/count.ts';
import { parseGoTestOutput } from '../../../../tools/conformance/go-test-output.ts';
import { encodeLedger, type Ledger, makeLedger, parseLedger } from '../../../../tools/conformance/ledger.ts';
import { encodeReport } from '../../../../tools/conformance/report.ts';
import { InputError, type Outcome } from '../../../../tools/conformance/results.ts';
import { parseTiers, type TieredTest } from '../../../../tools/conformance/tiers.ts';
import { goTestOutput } from './go-test-lines.ts';

const tests: readonly TieredTest[] = [
  { package: 'tests/csapi', test: 'TestLogin', tier: '1a', leaves: ['by_name', 'parallel/twice'] },
  { package: 'tests/csapi', test: 'TestNotices', tier: '3', leaves: ['are_sent'] },
  { package: 'tests', test: 'TestACLs', tier: '1b', leaves: [] },
];

const csapi = goTestOutput('tests/csapi', [
  ['TestLogin', 'fail'],
  ['TestLogin/by_name', 'pass'],
  ['TestLogin/parallel', 'fail'],
  ['TestLogin/parallel/twice', 'fail'],
  ['TestNotices', 'skip'],
]);
const federation = goTestOutput('tests', [['TestACLs', 'pass']]);

const ledgerOf = (...outputs: string[]): Ledger => makeLedger(parseGoTestOutput(outputs), tests, 'c0ffee');
const withResults = (results: Record<string, Outcome>, complement = 'c0ffee'): Ledger => ({
  complement,
  results: new Map(Object.entries(results)),
});

describe('the ledger', () => {
  it('has every test and every leaf, but no node between', () => {
    const { results, complement } = ledgerOf(csapi, federation);
    expect(complement).toBe('c0ffee');
    expect([...results]).toEqual([
      ['tests/TestACLs', 'pass'],
      ['tests/csapi/TestLogin', 'fail'],
      ['tests/csapi/TestLogin/by_name', 'pass'],
      ['tests/csapi/TestLogin/parallel/twice', 'fail'],
      ['tests/csapi/TestNotices', 'skip'],
      ['tests/csapi/TestNotices/are_sent', 'skip'],
    ]);
  });

  it('counts a leaf that was not reached as failed', () => {
    const { results } = ledgerOf(
      goTestOutput('tests/csapi', [
        ['TestLogin', 'fail'],
        ['TestNotices', 'pass'],
        ['TestNotices/are_sent', 'pass'],
      ]),
      federation,
    );
    expect(results.get('tests/csapi/TestLogin/by_name')).toBe('fail');
    expect(results.get('tests/csapi/TestNotices/are_sent')).toBe('pass');
  });

  it.each([
    ['a package is missing', [federation], /tests\/csapi: the package did not come to its end/],
    ['a package was cut off', [csapi.split('\n').slice(0, -2).join('\n'), federation], /did not come to its end/],
    [
      'a test was not run',
      [goTestOutput('tests/csapi', [['TestLogin', 'pass']]), federation],
      /TestNotices: was not run/,
    ],
    [
      'a test is new',
      [
        csapi,
        goTestOutput('tests', [
          ['TestACLs', 'pass'],
          ['TestNew', 'pass'],
        ]),
      ],
      /TestNew: is in no tier/,
    ],
    ['a test ran twice', [csapi, federation, federation], /TestACLs: has two results/],
  ])('is not made when %s', (_when, outputs, reason) => {
    expect(() => ledgerOf(...outputs)).toThrow(reason);
  });

  it('reads what it wrote', () => {
    const ledger = ledgerOf(csapi, federation);
    expect(parseLedger(encodeLedger(ledger))).toEqual(ledger);
  });

  it.each(['{}', 'null', 'nothing of the kind', '{"complement":"c","results":{"tests/TestA":"maybe"}}'])(
    'does not read %s',
    (text) => {
      expect(() => parseLedger(text)).toThrow(InputError);
    },
  );
});

describe('counts', () => {
  const { results } = ledgerOf(csapi, federation);

  it('go by package: tests, leaf subtests, and checks, which are leaves and tests without any', () => {
    const counts = countByPackage(results);
    expect([...counts.keys()]).toEqual(['tests', 'tests/csapi']);
    expect(counts.get('tests')).toEqual({
      tests: { pass: 1, fail: 0, skip: 0 },
      leaves: { pass: 0, fail: 0, skip: 0 },
      checks: { pass: 1, fail: 0, skip: 0 },
    });
    expect(counts.get('tests/csapi')).toEqual({
      tests: { pass: 0, fail: 1, skip: 1 },
      leaves: { pass: 1, fail: 1, skip: 1 },
      checks: { pass: 1, fail: 1, skip: 1 },
    });
  });

  it('go by tier, and their sum is the same', () => {
    const counts = countByTier(results, tests);
    expect([...counts.keys()]).toEqual(['1a', '1b', '3']);
    expect(counts.get('1a')?.leaves).toEqual({ pass: 1, fail: 1, skip: 0 });
    expect(sumCounts(counts)).toEqual(sumCounts(countByPackage(results)));
  });
});

describe('the report', () => {
  it('has a row for each tier and package, and says what does not pass', () => {
    const report = encodeReport(ledgerOf(csapi, federation), tests);
    expect(report).toContain('commit c0ffee');
    expect(report).toContain('| 1b: federation core | 1 / 0 / 0 | 0 / 0 / 0 | 1 / 0 / 0 |');
    expect(report).toContain('| `tests/csapi` | 0 / 1 / 1 | 1 / 1 / 1 | 1 / 1 / 1 |');
    expect(report).toContain('TestLogin (failed; of 2 leaf subtests 1 failed, 0 were skipped)');
    expect(report).not.toContain('TestACLs (');
  });

  it('says so when everything passes', () => {
    const all = goTestOutput('tests', [['TestACLs', 'pass']]);
    const only = tests.filter(({ test }) => test === 'TestACLs');
    expect(encodeReport(makeLedger(parseGoTestOutput([all]), only, 'c'), only)).toContain('Nothing.');
  });
});

describe('a comparison', () => {
  const before = withResults({
    'tests/TestA': 'pass',
    'tests/TestB': 'fail',
    'tests/TestC': 'skip',
    'tests/TestD': 'pass',
  });

  it('finds nothing between equals', () => {
    expect(compareLedgers(before, before)).toEqual({ better: [], worse: [], other: [] });
  });

  it('tells better from worse and from neither', () => {
    const after = withResults({
      'tests/TestA': 'skip',
      'tests/TestB': 'pass',
      'tests/TestC': 'fail',
      'tests/TestE': 'pass',
    });
    const { better, worse, other } = compareLedgers(before, after);
    expect(worse.map(({ name }) => name)).toEqual(['tests/TestA', 'tests/TestD']);
    expect(better.map(({ name }) => name)).toEqual(['tests/TestB', 'tests/TestE']);
    expect(other.map(({ name }) => name)).toEqual(['tests/TestC']);
    expect(describeComparison({ better, worse, other })).toContain('worse   pass → skip  tests/TestA');
  });

  it('does not blame us for a test that another commit of Complement no longer has', () => {
    const after = withResults({ 'tests/TestA': 'pass', 'tests/TestB': 'fail', 'tests/TestC': 'skip' }, 'cafe');
    const { worse, other } = compareLedgers(before, after);
    expect(worse).toEqual([]);
    expect(other).toEqual([{ name: 'tests/TestD', before: 'pass', after: 'absent' }]);
  });
});

describe('the ledger of this project', () => {
  const all = parseTiers(readFileSync('conformance/tiers.json', 'utf8'));
  const kept = readFileSync('conformance/complement.json', 'utf8');

  it('is written by the tool, and so is its page', () => {
    const ledger = parseLedger(kept);
    expect(kept).toBe(encodeLedger(ledger));
    expect(readFileSync('conformance/README.md', 'utf8')).toBe(encodeReport(ledger, all));
  });

  it('has a result for every test and leaf of the tiers', () => {
    const { results } = parseLedger(kept);
    const names = all.flatMap((test) => {
      const name = `${test.package}/${test.test}`;
      return [name, ...test.leaves.map((leaf) => `${name}/${leaf}`)];
    });
    expect(names.filter((name) => !results.has(name))).toEqual([]);
  });
});

describe('the tiers of Complement', () => {
  const all = parseTiers(readFileSync('conformance/tiers.json', 'utf8'));

  it('are what was counted in its source: 210 tests, of which 126 are the first', () => {
    expect(all).toHaveLength(210);
    const count = (tier: string) => all.filter((test) => test.tier === tier).length;
    expect([count('1a'), count('1b'), count('1c'), count('2'), count('3')]).toEqual([78, 33, 15, 63, 21]);
    expect(all.flatMap(({ leaves }) => leaves)).toHaveLength(592);
  });

  it('are refused without a tier', () => {
    expect(() => parseTiers('{"packages":{"tests":{"TestA":{"leaves":[]}}}}')).toThrow(/TestA: needs a tier/);
  });
});

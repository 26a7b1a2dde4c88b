import { describe, expect, it } from 'vitest';
import { parseGoTestOutput } from '../../../../tools/conformance/go-test-output.ts';
import { encodeInterop, parsePair } from '../../../../tools/conformance/interop.ts';
import { InputError, type Outcome } from '../../../../tools/conformance/results.ts';
import type { TieredTest } from '../../../../tools/conformance/tiers.ts';
import { goTestOutput } from './go-test-lines.ts';

const tests: readonly TieredTest[] = [
  { package: 'tests', test: 'TestKnocking', tier: '2', leaves: ['a', 'b/c'] },
  { package: 'tests', test: 'TestACLs', tier: '1b', leaves: [] },
];
type Line = readonly [name: string, outcome: Outcome];
const pair = (first: string, second: string, ...outputs: (readonly Line[])[]) => ({
  first,
  second,
  run: parseGoTestOutput(outputs.map((lines) => goTestOutput('tests', lines))),
});
const encode = (...pairs: Parameters<typeof encodeInterop>[0]) => encodeInterop(pairs, tests, 'c0ffee');
const acls: Line = ['TestACLs', 'pass'];
const knocking: readonly Line[] = [
  ['TestKnocking', 'fail'],
  ['TestKnocking/a', 'pass'],
  ['TestKnocking/b', 'fail'],
  ['TestKnocking/b/c', 'fail'],
];

describe('the table of two implementations', () => {
  it('has a row for each test, by tier, and a column for each pair', () => {
    const text = encode(
      pair('Lantern', 'Synapse', [...knocking, acls]),
      pair('Synapse', 'Lantern', [['TestKnocking', 'skip'], acls]),
    );
    expect(text).toContain('commit c0ffee');
    expect(text.split('\n').filter((line) => line.startsWith('|'))).toEqual([
      '| tier | test | Lantern, Synapse | Synapse, Lantern |',
      '|---|---|---|---|',
      '| 1b | `tests` TestACLs | pass | pass |',
      '| 2 | `tests` TestKnocking | **fail** (1 of 2 leaves) | skip |',
      '|  | **passed** | 1 of 2 | 1 of 2 |',
    ]);
  });

  it('may come from a pair of which tests were run one after the other', () => {
    expect(encode(pair('a', 'b', knocking, [acls]))).toContain('TestACLs | pass |');
  });

  it.each([
    [
      'a test that one pair has not',
      [pair('a', 'b', [acls]), pair('b', 'a', knocking)],
      'b, a: tests/TestACLs was not',
    ],
    ['a test with two results', [pair('a', 'b', [acls], [acls])], 'a, b: tests/TestACLs has two results'],
    ['a test in no tier', [pair('a', 'b', [['TestNew', 'pass']])], 'tests/TestNew: is in no tier'],
    ['no test at all', [pair('a', 'b', [])], 'there is no result'],
  ])('is not made from %s', (_what, pairs, complaint) => {
    expect(() => encode(...pairs)).toThrow(complaint);
    expect(() => encode(...pairs)).toThrow(InputError);
  });

  it('takes its outputs with the names of the pair', () => {
    expect(parsePair('Lantern/Synapse 1.2=/a/b=c')).toEqual({
      first: 'Lantern',
      second: 'Synapse 1.2',
      file: '/a/b=c',
    });
    for (const bad of ['output', 'a=output', 'a/b', 'a/b=', '/b=output'])
      expect(() => parsePair(bad)).toThrow(InputError);
  });
});

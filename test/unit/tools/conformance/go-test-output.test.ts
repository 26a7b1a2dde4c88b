import { describe, expect, it } from 'vitest';
import { parseGoTestOutput } from '../../../../tools/conformance/go-test-output.ts';
import { leavesOf, splitName } from '../../../../tools/conformance/results.ts';
import { goTestOutput } from './go-test-lines.ts';

describe('the output of go test', () => {
  it('gives each test its outcome, by package without the name of the module', () => {
    const { results, packages } = parseGoTestOutput([
      goTestOutput('tests/csapi', [
        ['TestLogin', 'pass'],
        ['TestLogin/GET_/login', 'pass'],
        ['TestSearch', 'fail'],
        ['TestServerNotices', 'skip'],
      ]),
    ]);
    expect(Object.fromEntries(results)).toEqual({
      'tests/csapi/TestLogin': 'pass',
      'tests/csapi/TestLogin/GET_/login': 'pass',
      'tests/csapi/TestSearch': 'fail',
      'tests/csapi/TestServerNotices': 'skip',
    });
    expect(packages).toEqual(new Set(['tests/csapi']));
  });

  it('counts a test that began and never ended as failed', () => {
    const started = JSON.stringify({ Action: 'run', Package: 'x/complement/tests', Test: 'TestHangs' });
    expect(parseGoTestOutput([started]).results.get('tests/TestHangs')).toBe('fail');
  });

  it('does not count what only printed or paused', () => {
    const lines = ['output', 'pause', 'cont'].map((Action) =>
      JSON.stringify({ Action, Package: 'x/complement/tests', Test: 'TestTalks' }),
    );
    expect(parseGoTestOutput([lines.join('\n')]).results.size).toBe(0);
  });

  it('passes over what a compiler or a crash printed between', () => {
    const text = `# some/package\npanic: oh no\n${goTestOutput('tests', [['TestA', 'pass']])}FAIL\n`;
    expect(parseGoTestOutput([text]).results).toEqual(new Map([['tests/TestA', 'pass']]));
  });

  it('knows which packages came to their end', () => {
    const lines = [
      { Action: 'start', Package: 'x/complement/tests' },
      { Action: 'fail', Package: 'x/complement/tests/csapi' },
    ];
    const { packages } = parseGoTestOutput([lines.map((line) => JSON.stringify(line)).join('\n')]);
    expect(packages).toEqual(new Set(['tests/csapi']));
  });

  it('notices a test that ran twice, in one output or in two', () => {
    const once = goTestOutput('tests', [['TestA', 'fail']]);
    const again = goTestOutput('tests', [['TestA', 'pass']]);
    expect(parseGoTestOutput([once]).repeated).toEqual(new Set());
    expect(parseGoTestOutput([once + again]).repeated).toEqual(new Set(['tests/TestA']));
    expect(parseGoTestOutput([once, again]).repeated).toEqual(new Set(['tests/TestA']));
  });

  it('refuses a line that is cut off', () => {
    expect(() => parseGoTestOutput(['{"Action":"pa'])).toThrow(/not a line of go test/);
  });
});

describe('the name of a test', () => {
  it.each([
    ['tests/TestACLs', { package: 'tests', test: 'TestACLs', subtest: '' }],
    ['tests/csapi/TestLogin/parallel/a', { package: 'tests/csapi', test: 'TestLogin', subtest: 'parallel/a' }],
    ['tests/msc3391/TestX//odd', { package: 'tests/msc3391', test: 'TestX', subtest: '/odd' }],
    ['tests/TestA/b/TestC', { package: 'tests', test: 'TestA', subtest: 'b/TestC' }],
  ])('%s has its parts', (name, parts) => {
    expect(splitName(name)).toEqual(parts);
  });

  it('is refused without a test in it', () => {
    expect(() => splitName('tests/csapi')).toThrow(/not the name of a test/);
  });

  it('is a leaf unless another one begins with it', () => {
    const names = ['tests/TestA', 'tests/TestA/b', 'tests/TestA/b/c', 'tests/TestA/bb', 'tests/TestAB'];
    expect(leavesOf(names)).toEqual(new Set(['tests/TestA/b/c', 'tests/TestA/bb', 'tests/TestAB']));
  });
});

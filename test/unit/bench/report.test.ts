import { describe, expect, it } from 'vitest';
import { parseBenchOptions } from '../../../bench/support/options.ts';
import { judge, type Measure, numberText, tableOf } from '../../../bench/support/report.ts';
import { medianOf, percentileOf } from '../../../bench/support/statistics.ts';

const figure = (value: number, rest: Partial<Measure> = {}): Measure => ({ name: 'x', unit: 'ms', value, ...rest });
const limit = { what: 'bare', value: 1_000 };

describe('a figure', () => {
  it.each([
    ['keeps a bound that it reaches', figure(50, { bound: { atMost: 50 } }), 'kept'],
    ['is over one that it misses by half', figure(75, { bound: { atMost: 50 } }), 'over'],
    ['fails one that it misses by more', figure(76, { bound: { atMost: 50 } }), 'failed'],
    ['keeps a lower bound', figure(600, { bound: { atLeast: 600 } }), 'kept'],
    ['is over a lower bound', figure(400, { bound: { atLeast: 600 } }), 'over'],
    ['fails a lower bound', figure(399, { bound: { atLeast: 600 } }), 'failed'],
    ['keeps a bound of none', figure(0, { bound: { atMost: 0 } }), 'kept'],
    ['fails a bound of none', figure(1, { bound: { atMost: 0 } }), 'failed'],
    ['keeps its share of the limit', figure(600, { limit, bound: { shareOfLimit: 0.6 } }), 'kept'],
    ['fails its share of the limit', figure(390, { limit, bound: { shareOfLimit: 0.6 } }), 'failed'],
    ['keeps a multiple of the limit', figure(2_000, { limit, bound: { timesLimit: 2 } }), 'kept'],
    ['fails a multiple of the limit', figure(3_001, { limit, bound: { timesLimit: 2 } }), 'failed'],
    ['that is no number keeps nothing', figure(Number.NaN, { bound: { atMost: 50 } }), 'failed'],
    ['of nothing a second fails', figure(0, { bound: { atLeast: 1 } }), 'failed'],
    ['without a bound is not judged', figure(50), 'unbounded'],
  ])('%s', (_what, measure, judgement) => {
    expect(judge(measure)).toBe(judgement);
  });

  it('stands in the table beside the limit of the same run', () => {
    const table = tableOf([{ name: 'check', unit: '/s', value: 7_000.4, limit, bound: { shareOfLimit: 0.6 } }]);
    expect(table).toMatch(/check\s+7 000 \/s\s+1 000 \/s \(bare\)\s+7\.00\s+≥ 600 \/s\s+kept/);
  });

  it('is written with the digits that count', () => {
    expect([0.012345, 1.2345, 12.345, 123.45, 1_234_567].map(numberText)).toEqual([
      '0.0123',
      '1.23',
      '12.3',
      '123',
      '1 234 567',
    ]);
  });
});

describe('statistics', () => {
  it('find the median and the percentiles of values in any order', () => {
    expect(medianOf([9, 1, 5])).toBe(5);
    expect(percentileOf([4, 1, 3, 2], 0.99)).toBe(4);
    expect(percentileOf([4, 1, 3, 2], 0)).toBe(1);
  });
});

describe('the command line', () => {
  it('is read', () => {
    const options = parseBenchOptions(['--json', '--only', 'graph', '--set', 'members=100', '--set', 'share=0.5']);
    expect(options).toEqual({
      json: true,
      only: 'graph',
      set: new Map([
        ['members', 100],
        ['share', 0.5],
      ]),
    });
    expect(parseBenchOptions([])).toEqual({ json: false, only: '', set: new Map() });
  });

  it('is refused where it is wrong', () => {
    expect(() => parseBenchOptions(['--jsn'])).toThrow('--jsn');
    expect(() => parseBenchOptions(['--set', 'members'])).toThrow('name=number');
  });
});

import { assert } from '../../src/base/assert.ts';

/** The value below which `share` (0 to 1) of the values lie; of one that falls between two, the upper. */
export function percentileOf(values: readonly number[], share: number): number {
  const sorted = [...values].sort((x, y) => x - y);
  const value = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
  assert(value !== undefined, 'a percentile of nothing');
  return value;
}

export function medianOf(values: readonly number[]): number {
  return percentileOf(values, 0.5);
}

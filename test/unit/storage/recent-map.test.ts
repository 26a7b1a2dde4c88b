import { describe, expect, it } from 'vitest';
import { RecentMap } from '../../../src/storage/sqlite/core/recent-map.ts';

const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index);

describe('a map of recent entries', () => {
  it('surely holds the half of its entries that were set last, and never more than all', () => {
    const map = new RecentMap<number, string>(10);
    for (const number of numbers(0, 1_000)) map.set(number, `${number}`);
    const held = numbers(0, 1_000).filter((number) => map.get(number) !== undefined);
    expect(held.slice(-5)).toEqual(numbers(995, 1_000));
    expect(held.length).toBeLessThanOrEqual(10);
  });

  it('holds what is read again and again, however much passes by', () => {
    const map = new RecentMap<number, string>(10);
    map.set(0, 'kept');
    for (const number of numbers(1, 1_000)) {
      map.set(number, `${number}`);
      expect(map.get(0)).toBe('kept');
    }
  });

  it('takes a new value for a key it has, and forgets all when told', () => {
    const map = new RecentMap<string, number>(4);
    map.set('a', 1);
    map.set('b', 1);
    map.set('a', 2);
    expect(map.get('a')).toBe(2);
    map.clear();
    expect(map.get('a')).toBeUndefined();
    expect(map.get('b')).toBeUndefined();
  });
});

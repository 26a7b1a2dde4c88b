import { describe, expect, it } from 'vitest';
import { ManyByKey } from '../../../src/base/many-by-key.ts';

const [one, two, three] = [{ n: 1 }, { n: 2 }, { n: 3 }];

describe('values by key', () => {
  it('stand in the order in which they came, each once', () => {
    const values = new ManyByKey<string, { n: number }>();
    expect([values.add('a', one), values.add('a', one), values.add('a', two), values.add('a', three)]).toEqual([
      1, 1, 2, 3,
    ]);
    expect(values.list('a')).toEqual([one, two, three]);
    expect(values.list('b')).toEqual([]);
  });

  it('go one by one, and with the last of them the key', () => {
    const values = new ManyByKey<string, { n: number }>();
    for (const value of [one, two]) values.add('a', value);
    values.add('b', three);
    expect(values.delete('a', three)).toBe(false);
    expect(values.delete('a', one)).toBe(true);
    expect(values.delete('a', one)).toBe(false);
    expect(values.list('a')).toEqual([two]);
    expect(values.delete('a', two)).toBe(true);
    expect(values.delete('b', one)).toBe(false);
    expect(values.delete('b', three)).toBe(true);
    expect([...values.keys()]).toEqual([]);
  });

  it('can be taken away while a list of them is gone through', () => {
    const values = new ManyByKey<string, { n: number }>();
    for (const value of [one, two, three]) values.add('a', value);
    const seen: number[] = [];
    for (const value of values.list('a')) {
      values.delete('a', value);
      seen.push(value.n);
    }
    expect(seen).toEqual([1, 2, 3]);
  });
});

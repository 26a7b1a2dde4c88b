import { describe, expect, it } from 'vitest';
import { createRandom, systemRandom } from '../../../src/base/random.ts';
import { backoffDelayMs } from '../../../src/base/tasks/backoff.ts';

/** The bytes one after the other, then from the start again. */
function cycling(...bytes: number[]) {
  let at = 0;
  return createRandom((length) =>
    Uint8Array.from({ length }, () => {
      at += 1;
      return bytes[(at - 1) % bytes.length] ?? 0;
    }),
  );
}

describe('randomness', () => {
  it('makes tokens of the wanted length from letters and digits', () => {
    expect(systemRandom.token(43)).toMatch(/^[A-Za-z0-9]{43}$/);
    expect(systemRandom.token(0)).toBe('');
    expect(systemRandom.token(20)).not.toBe(systemRandom.token(20));
  });

  it('never gives the same bytes twice, however many it is asked for at a time', () => {
    const lengths = Array.from({ length: 3_000 }, (_, n) => (n % 100 === 0 ? 5_000 : 16 + (n % 240)));
    const given = lengths.map((length) => systemRandom.bytes(length));
    expect(given.map(({ length }) => length)).toEqual(lengths);
    expect(new Set(given.map((bytes) => Buffer.from(bytes.subarray(0, 16)).toString('hex'))).size).toBe(lengths.length);
    // Nobody who keeps what was given sees what is given later.
    expect(given.every((bytes) => bytes.buffer.byteLength === bytes.length || bytes.length > 256)).toBe(true);
  });

  it('throws away the bytes that would make some letters likelier', () => {
    expect(cycling(250, 255, 248, 0, 61, 62).token(3)).toBe('A9A');
  });

  it('gives every whole number below the bound', () => {
    const seen = new Set(Array.from({ length: 500 }, () => systemRandom.int(5)));
    expect([...seen].sort()).toEqual([0, 1, 2, 3, 4]);
    expect(systemRandom.int(1)).toBe(0);
  });

  it('draws again where the remainder would favour small numbers', () => {
    expect(cycling(255, 255, 255, 255, 0, 0, 0, 7).int(10)).toBe(7);
  });

  it('refuses bounds that are none', () => {
    for (const bound of [0, -1, 1.5, 2 ** 32 + 1, Number.NaN]) expect(() => systemRandom.int(bound)).toThrow();
  });

  it('gives fractions from zero to below one', () => {
    expect(cycling(0).fraction()).toBe(0);
    expect(cycling(255).fraction()).toBeLessThan(1);
    expect(cycling(128, 0, 0, 0).fraction()).toBe(0.5);
  });
});

describe('back-off', () => {
  const backoff = { firstMs: 1_000, maxMs: 60_000 };

  it('doubles up to its maximum', () => {
    const most = [1, 2, 3, 7, 8, 1_000].map((failures) => backoffDelayMs(backoff, failures, cycling(255)));
    expect(most).toEqual([1_000, 2_000, 4_000, 60_000, 60_000, 60_000]);
  });

  it('leaves the upper half to chance', () => {
    expect(backoffDelayMs(backoff, 1, cycling(0))).toBe(500);
    expect(backoffDelayMs(backoff, 8, cycling(0))).toBe(30_000);
  });
});

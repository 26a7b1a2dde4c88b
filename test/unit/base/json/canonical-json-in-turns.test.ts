import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CanonicalJsonError, canonicalJson } from '../../../../src/base/json/canonical-json.ts';
import { canonicalJsonInTurns } from '../../../../src/base/json/canonical-json-in-turns.ts';
import { LooseNumber } from '../../../../src/base/json/loose-number.ts';
import { propertyRuns } from '../../../support/property-runs.ts';

/** Integers only, so that there is a canonical form, and enough of them that they are cut up. */
const leaf = fc.oneof(fc.integer(), fc.string({ unit: 'grapheme' }), fc.boolean(), fc.constant(null));
const { value: part } = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    leaf,
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(fc.string({ unit: 'grapheme' }), tie('value'), { maxKeys: 4 }),
  ),
}));

describe('canonical JSON of large values', () => {
  it('is what it is of small ones', async () => {
    await fc.assert(
      fc.asyncProperty(part, fc.dictionary(fc.string(), part), async (value, members) => {
        const many = Array.from({ length: 700 }, (_, index) => [value, index]);
        const large = { ...members, many, __keys: Object.fromEntries(many.map((item, index) => [`k${index}`, item])) };
        for (const each of [value, large, many, [large]])
          expect(await canonicalJsonInTurns(each)).toBe(canonicalJson(each));
      }),
      { numRuns: propertyRuns(10) },
    );
  });

  it('keeps loose numbers as they are asked for, and an own __proto__', async () => {
    const many = Array.from({ length: 5_000 }, () => new LooseNumber('1e2'));
    const value: unknown = JSON.parse(`{"__proto__":[],"b":${JSON.stringify(Array(3_000).fill(1))}}`);
    expect(await canonicalJsonInTurns(many)).toBe(`[${many.map(() => '100.0').join(',')}]`);
    expect(await canonicalJsonInTurns(many, { numbers: 'as sent' })).toBe(`[${many.map(() => '1e2').join(',')}]`);
    expect(await canonicalJsonInTurns(value)).toBe(canonicalJson(value));
  });

  it('there is none of a fraction, wherever it stands', async () => {
    const many = Array.from({ length: 5_000 }, (_, index) => ({ index }));
    await expect(canonicalJsonInTurns([...many, { index: 0.5 }])).rejects.toThrow(CanonicalJsonError);
    await expect(canonicalJsonInTurns({ many, other: { index: 0.5 } })).rejects.toThrow(CanonicalJsonError);
  });

  it('lets others run in between', async () => {
    const large = Array.from({ length: 400_000 }, (_, index) => ({ index }));
    let turns = 0;
    let over = false;
    const count = (): void => {
      turns += 1;
      if (!over) setImmediate(count);
    };
    setImmediate(count);
    await canonicalJsonInTurns(large);
    over = true;
    expect(turns).toBeGreaterThan(2);
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareNumbers, LooseNumber } from '../../../../src/base/json/loose-number.ts';

describe('numbers of others', () => {
  it('are compared exactly, whatever their size', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n }), fc.bigInt({ min: -3n, max: 3n }), (x, more) => {
        const compared = compareNumbers(new LooseNumber(`${x}`), new LooseNumber(`${x + more}`));
        expect(compared).toBe(more > 0n ? -1 : more < 0n ? 1 : 0);
      }),
    );
  });

  it('are compared with those that are written otherwise', () => {
    expect(compareNumbers(new LooseNumber('1e2'), 100)).toBe(0);
    expect(compareNumbers(1, new LooseNumber('1.5'))).toBe(-1);
    expect(compareNumbers(new LooseNumber('9007199254740993'), 9007199254740992)).toBe(1);
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { findPacked, pack, unpack } from '../../../../src/storage/sqlite/core/snapshot-packing.ts';

const entries = fc.uniqueArray(fc.tuple(fc.maxSafeNat(), fc.maxSafeNat()), { selector: ([key]) => key, maxLength: 60 });

describe('a packed layer', () => {
  it('unpacks to its entries in the order of their keys', () => {
    fc.assert(
      fc.property(entries, (list) => {
        const { keys, events } = unpack(pack(new Map(list)));
        const sorted = [...list].sort(([left], [right]) => left - right);
        expect([...keys]).toEqual(sorted.map(([key]) => key));
        expect([...events]).toEqual(sorted.map(([, event]) => event));
      }),
    );
  });

  it('finds what it holds, and nothing else', () => {
    fc.assert(
      fc.property(entries, fc.maxSafeNat(), (list, other) => {
        const packed = unpack(pack(new Map(list)));
        for (const [key, event] of list) expect(findPacked(packed, key)).toBe(event);
        expect(findPacked(packed, other)).toBe(new Map(list).get(other));
      }),
    );
  });

  it('takes about four bytes an entry in a room of thousands', () => {
    const members = new Map(Array.from({ length: 10_000 }, (_, index) => [1_000 + index, 100_000 + index]));
    expect(pack(members).length).toBeLessThan(4.5 * members.size);
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileGlob } from '../../../src/base/glob.ts';
import { propertyRuns } from '../../support/property-runs.ts';

/** Exponential and obviously right. */
function naive(pattern: readonly string[], text: readonly string[]): boolean {
  const [first, ...rest] = pattern;
  if (first === undefined) return text.length === 0;
  if (first === '*') return naive(rest, text) || (text.length > 0 && naive(pattern, text.slice(1)));
  return text.length > 0 && (first === '?' || first === text[0]) && naive(rest, text.slice(1));
}

describe('a glob', () => {
  it.each([
    ['', '', true],
    ['', 'a', false],
    ['*', '', true],
    ['*', 'anything', true],
    ['?', '', false],
    ['?', 'a', true],
    ['?', '😀', true],
    ['??', '😀', false],
    ['abc', 'abc', true],
    ['abc', 'ABC', false],
    ['abc', 'xabc', false],
    ['abc', 'abcx', false],
    ['a*c', 'ac', true],
    ['a*c', 'abbbc', true],
    ['a*c', 'abbbcd', false],
    ['*.example.org', 'evil.example.org', true],
    ['*.example.org', 'example.org', false],
    ['m.room.*', 'm.room.message', true],
    ['a.c', 'abc', false],
    ['[ab]', 'a', false],
    ['[ab]', '[ab]', true],
    ['a\\*', 'a\\x', true],
    ['^a$', '^a$', true],
  ])('%j on %j gives %s', (pattern, text, expected) => {
    expect(compileGlob(pattern)(text)).toBe(expected);
  });

  it('agrees with a naive matcher on everything', () => {
    const letters = fc.array(fc.constantFrom('a', 'b', '*', '?', '😀'), { maxLength: 8 });
    fc.assert(
      fc.property(letters, fc.array(fc.constantFrom('a', 'b', '😀'), { maxLength: 10 }), (pattern, text) => {
        expect(compileGlob(pattern.join(''))(text.join(''))).toBe(naive(pattern, text));
      }),
      { numRuns: propertyRuns(5_000) },
    );
  });

  it('takes no more than the product of both lengths, where backtracking would take ages', () => {
    const text = 'a'.repeat(2_000);
    expect(compileGlob(`${'*a'.repeat(500)}b`)(text)).toBe(false);
    expect(compileGlob(`${'a*'.repeat(500)}`)(text)).toBe(true);
  });
});

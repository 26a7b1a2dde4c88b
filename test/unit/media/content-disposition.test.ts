import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cleanFileName, encodeDisposition, parseFileName } from '../../../src/media/core/content-disposition.ts';
import { propertyRuns } from '../../support/property-runs.ts';

describe('the name of a file', () => {
  it('is read from the header as it was written into it', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
        const name = cleanFileName(text);
        const header = encodeDisposition('inline', name);
        expect(header).toMatch(/^[\x20-\x7e]*$/);
        expect(parseFileName(header)).toBe(name);
      }),
      { numRuns: propertyRuns(1_000) },
    );
  });

  it.each([
    ['attachment; filename=plain.txt', 'plain.txt'],
    ['attachment; filename="with space; and \\"quotes\\".txt"', 'with space; and "quotes".txt'],
    ['attachment; filename="fallback"; filename*=UTF-8\'\'%E2%98%95.txt', '☕.txt'],
    ["inline;filename*=utf-8'en'a%20b", 'a b'],
    [`inline; filename="${Buffer.from('☕.txt').toString('latin1')}"`, '☕.txt'],
    ["attachment; filename*=utf-8''%ff", undefined],
    ["attachment; filename*=latin1''x", undefined],
    ['attachment; filename=""', undefined],
    ['attachment', undefined],
    ['', undefined],
    [undefined, undefined],
  ])('in %s is %s', (header, name) => {
    expect(parseFileName(header)).toBe(name);
  });

  it.each([
    ['a\r\nSet-Cookie: x', 'aSet-Cookie: x'],
    ['exe.\u202egpj', 'exe.gpj'],
    ['  ', undefined],
    ['\u0000', undefined],
    ['x'.repeat(2_000), 'x'.repeat(1_024)],
  ])('%j is kept as %j', (name, kept) => {
    expect(cleanFileName(name)).toBe(kept);
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CanonicalJsonError, canonicalJson } from '../../../../src/base/json/canonical-json.ts';
import { looseNumbersMax, parseExactJson } from '../../../../src/base/json/exact-json.ts';
import { LooseNumber } from '../../../../src/base/json/loose-number.ts';
import { readVectors } from '../../../support/vectors.ts';

function exact(text: string): unknown {
  const parsed = parseExactJson(text);
  if (parsed.outcome !== 'parsed') throw new Error(parsed.reason);
  return parsed.value;
}

describe('a loose number', () => {
  it.each(readVectors<{ given: string; text: string }[]>('python-numbers.json'))(
    '$given has the form in which Python writes it',
    ({ given, text }) => {
      expect(new LooseNumber(given).text).toBe(text);
      expect(canonicalJson([new LooseNumber(given)])).toBe(`[${text}]`);
    },
  );

  it('is a number to clients and to rules that compare', () => {
    expect(JSON.stringify({ a: new LooseNumber('1e2'), b: new LooseNumber('2.5') })).toBe('{"a":100,"b":2.5}');
    expect(new LooseNumber('50.57').valueOf()).toBe(50.57);
    expect([new LooseNumber('1.0').isInteger, new LooseNumber('9007199254740993').isInteger]).toEqual([false, true]);
  });

  it('that no double holds has no form', () => {
    for (const token of ['1e400', '-1e400']) {
      expect(new LooseNumber(token).isFinite).toBe(false);
      expect(() => canonicalJson({ a: new LooseNumber(token) })).toThrow(CanonicalJsonError);
    }
    expect(canonicalJson(new LooseNumber('9'.repeat(400)))).toBe('9'.repeat(400));
  });

  it('is refused where integers are demanded', () => {
    expect(() => canonicalJson({ a: [new LooseNumber('1.0')] }, { strict: true })).toThrow(CanonicalJsonError);
    expect(canonicalJson({ a: [1] }, { strict: true })).toBe('{"a":[1]}');
  });
});

describe('reading JSON exactly', () => {
  it('keeps what a double would lose, and the rest as JSON.parse has it', () => {
    const text =
      '{ "b" : [1.0, -0,\n{"\\u0061\\"":9007199254740993}, "1.0"], "a":null,"c":true,"d" :false , "e":[],"f":{} }';
    expect(canonicalJson(exact(text))).toBe(
      '{"a":null,"b":[1.0,0,{"a\\"":9007199254740993},"1.0"],"c":true,"d":false,"e":[],"f":{}}',
    );
  });

  it('makes a __proto__ an own member, and lets the last of equal keys count', () => {
    const value = exact('{"__proto__":1.5,"a":1.5,"a":2}');
    expect(Object.keys(value as object)).toEqual(['__proto__', 'a']);
    expect(canonicalJson(value)).toBe('{"__proto__":1.5,"a":2}');
  });

  it('takes no string for a number, whatever it begins with', () => {
    const text = '{"a":[1.5,"\u{10000}0","\\ud800\\udc000","\u{1F600}1","0"],"b":"\\u00300"}';
    expect(exact(text)).toEqual({
      a: [new LooseNumber('1.5'), '\u{10000}0', '\u{10000}0', '\u{1F600}1', '0'],
      b: '00',
    });
    expect(parseExactJson('{"a":1.5,"b":"\\ud8000"}').outcome).toBe('bad_json');
  });

  it('takes fifty thousand loose numbers and no more', () => {
    const list = (count: number) => `[${Array(count).fill('1.5').join(',')}]`;
    expect(parseExactJson(list(looseNumbersMax)).outcome).toBe('parsed');
    expect(parseExactJson(list(looseNumbersMax + 1)).outcome).toBe('bad_json');
    expect(
      parseExactJson(
        `[${Array(looseNumbersMax + 1)
          .fill('1')
          .join(',')}]`,
      ).outcome,
    ).toBe('parsed');
  });

  it('refuses what parseJson refuses', () => {
    expect(parseExactJson('{"a":1.0').outcome).toBe('not_json');
    expect(parseExactJson(`${'['.repeat(300)}1.0${']'.repeat(300)}`).outcome).toBe('bad_json');
  });

  it('gives the same value as JSON.parse, for any JSON, but for the form of its numbers', () => {
    fc.assert(
      fc.property(fc.json(), fc.constantFrom(undefined, 1, 2), (json, indent) => {
        const text = JSON.stringify(JSON.parse(json), null, indent);
        expect(JSON.stringify(exact(text))).toBe(JSON.stringify(JSON.parse(text)));
      }),
    );
  });

  it('reads back what it wrote', () => {
    fc.assert(
      fc.property(fc.json(), (json) => {
        const first = canonicalJson(exact(json));
        expect(canonicalJson(exact(first))).toBe(first);
      }),
    );
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hasLooseNumbers, parseJson } from '../../../../src/base/json/json.ts';
import { propertyRuns } from '../../../support/property-runs.ts';

describe('parsing JSON', () => {
  it('gives the value and the text, of bytes and of strings', () => {
    expect(parseJson('{"a":[1]}')).toEqual({ outcome: 'parsed', value: { a: [1] }, text: '{"a":[1]}' });
    expect(parseJson(Buffer.from('"é"'))).toEqual({ outcome: 'parsed', value: 'é', text: '"é"' });
  });

  it('makes __proto__ a member like any other', () => {
    const parsed = parseJson('{"__proto__":{"admin":true}}');
    expect(parsed.outcome).toBe('parsed');
    if (parsed.outcome !== 'parsed') return;
    expect(Object.keys(parsed.value as object)).toEqual(['__proto__']);
    expect((parsed.value as { admin?: boolean }).admin).toBeUndefined();
  });

  it('counts objects and lists where it is told how many there may be', () => {
    const limits = { depthMax: 10, containersMax: 3 };
    expect(parseJson('{"a":[{}],"b":"[[[["}', limits).outcome).toBe('parsed');
    expect(parseJson('{"a":[{}],"b":[]}', limits).outcome).toBe('bad_json');
    expect(parseJson('{"a":[{}],"b":[]}', { depthMax: 10 }).outcome).toBe('parsed');
  });

  it.each<[string, string | Uint8Array]>([
    ['invalid UTF-8', Buffer.from([0x22, 0xc3, 0x28, 0x22])],
    ['a surrogate encoded as UTF-8', Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])],
    ['a byte order mark', Buffer.from('\ufeff{}')],
    ['an empty body', ''],
    ['half an object', '{"a":1'],
    ['an open string', '"abc'],
    ['a word', 'NaN'],
    ['a trailing comma', '[1,]'],
  ])('answers not_json for %s', (_name, source) => {
    expect(parseJson(source).outcome).toBe('not_json');
  });

  it.each([
    ['a lone surrogate', '{"a":"\\ud800"}'],
    ['a lone surrogate in a key', '{"\\uDC00":1}'],
    ['a lone surrogate among other things', '[1,{"a":["ok","\\ud83d"]}]'],
  ])('answers bad_json for %s', (_name, source) => {
    expect(parseJson(source).outcome).toBe('bad_json');
    expect(parseJson(Buffer.from(source)).outcome).toBe('bad_json');
  });

  it('takes a surrogate pair, escaped or not, and an escaped backslash before a u', () => {
    expect(parseJson('"\\ud83d\\ude00"')).toMatchObject({ value: '😀' });
    expect(parseJson(Buffer.from('"😀"'))).toMatchObject({ value: '😀' });
    expect(parseJson(Buffer.from('"\\\\ud800"'))).toMatchObject({ value: '\\ud800' });
  });

  it('counts depth outside strings only, and to the limit', () => {
    expect(parseJson('[[[]]]', { depthMax: 3 }).outcome).toBe('parsed');
    expect(parseJson('[[[[]]]]', { depthMax: 3 }).outcome).toBe('bad_json');
    expect(parseJson('[{"a":[1]},[[2]]]', { depthMax: 3 }).outcome).toBe('parsed');
    expect(parseJson('["[[[[{{{{", "\\"[[[["]', { depthMax: 1 }).outcome).toBe('parsed');
  });

  it('refuses a hundred thousand brackets without running out of stack', () => {
    expect(parseJson('['.repeat(100_000)).outcome).toBe('bad_json');
  });

  it('never throws, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array(), fc.string({ unit: 'binary' }), fc.json()), (source) => {
        expect(['parsed', 'not_json', 'bad_json']).toContain(parseJson(source).outcome);
      }),
      { numRuns: propertyRuns(60) },
    );
  });
});

describe('loose numbers', () => {
  it.each([
    '1.0',
    '1e2',
    '1E2',
    '-0',
    '-0.0',
    '0.5',
    '9007199254740992',
    '-9007199254740992',
    '123456789012345678901234567890',
    '{"a":[1,2,{"b":1.0}]}',
    '{"a":"\\"1.0","b":1e1}',
    '[ 1 , 2 , -0 ]',
  ])('are seen in %s', (text) => {
    expect(hasLooseNumbers(text)).toBe(true);
  });

  it.each([
    '0',
    '-1',
    '9007199254740991',
    '-9007199254740991',
    '"1.0"',
    '{"1.5":"2e3","a":[-12,0]}',
    '"\\\\"',
    '{"a\\"1.0":1}',
    '[true,false,null]',
  ])('are not seen in %s', (text) => {
    expect(hasLooseNumbers(text)).toBe(false);
  });

  it('are what a reading of each number token by a regular expression says', () => {
    const number = fc.oneof(
      fc.maxSafeInteger().map(String),
      fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
      fc.bigInt().map(String),
      fc.constantFrom('-0', '0', '1e5', '1.0', '9007199254740991', '9007199254740992'),
    );
    const text = fc.array(fc.tuple(fc.string(), number)).map((pairs) => ({
      text: `[${pairs.map(([string, token]) => `{${JSON.stringify(string)}:${token}}`).join(' ,')}]`,
      tokens: pairs.map(([, token]) => token),
    }));
    fc.assert(
      fc.property(text, (sample) => {
        const loose = sample.tokens.some(
          (token) => !/^(?:0|-?[1-9]\d*)$/.test(token) || !Number.isSafeInteger(Number(token)),
        );
        expect(hasLooseNumbers(sample.text)).toBe(loose);
      }),
    );
  });

  it('costs one reading of the text', () => {
    // Many escaped quotes behind long runs of backslashes: a scan that looks back over them again and again would take minutes.
    const text = `"${'\\\\'.repeat(500_000)}${'\\"'.repeat(500_000)}"`;
    const before = performance.now();
    expect(hasLooseNumbers(text)).toBe(false);
    expect(performance.now() - before).toBeLessThan(1_000);
  });
});

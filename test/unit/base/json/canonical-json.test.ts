import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  CanonicalJsonError,
  canonicalDepthMax,
  canonicalJson,
  canonicalMembers,
  canonicalSize,
  compareByCodePoint,
  joinMembers,
  sizeOfMembers,
} from '../../../../src/base/json/canonical-json.ts';
import { LooseNumber } from '../../../../src/base/json/loose-number.ts';
import { readVectors } from '../../../support/vectors.ts';

/** The encoding written out by hand from the grammar, to hold the library's against. */
function encodeByHand(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(encodeByHand).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const keys = Object.keys(value).sort((a, b) => Buffer.compare(utf32(a), utf32(b)));
    return `{${keys.map((key) => `${encodeString(key)}:${encodeByHand(Reflect.get(value, key))}`).join(',')}}`;
  }
  if (typeof value === 'string') return encodeString(value);
  return Object.is(value, -0) ? '0' : String(value);
}

function utf32(text: string): Buffer {
  const buffer = Buffer.alloc([...text].length * 4);
  [...text].forEach((character, index) => {
    buffer.writeUInt32BE(character.codePointAt(0) ?? 0, index * 4);
  });
  return buffer;
}

const shortEscapes: Record<string, string> = {
  '\b': '\\b',
  '\t': '\\t',
  '\n': '\\n',
  '\f': '\\f',
  '\r': '\\r',
  '"': '\\"',
  '\\': '\\\\',
};

function encodeString(text: string): string {
  const encoded = [...text].map((character) => {
    const code = character.codePointAt(0) ?? 0;
    return shortEscapes[character] ?? (code < 0x20 ? `\\u${code.toString(16).padStart(4, '0')}` : character);
  });
  return `"${encoded.join('')}"`;
}

const key = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 4 }),
  fc.constantFrom('__proto__', 'constructor', 'toJSON', '1', '10', '2', '\u{1F600}', '\uFB01', ''),
);

const { value } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.maxSafeInteger(),
    fc.boolean(),
    fc.constant(null),
    fc.string({ unit: 'binary' }),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.array(fc.tuple(key, tie('value')), { maxLength: 5 }).map((entries) => Object.fromEntries(entries)),
  ),
}));

describe('canonical JSON', () => {
  it.each(readVectors<{ given: string; canonical: string }[]>('canonical-json.json'))(
    'of $given is as published',
    ({ given, canonical }) => {
      expect(canonicalJson(JSON.parse(given))).toBe(canonical);
    },
  );

  it('is what the grammar says, for any value', () => {
    fc.assert(
      fc.property(value, (any) => {
        expect(canonicalJson(any)).toBe(encodeByHand(any));
      }),
    );
  });

  it('is made of the canonical members of an object, of all or of some', () => {
    const objects = fc.array(fc.tuple(key, value), { maxLength: 5 }).map((entries) => Object.fromEntries(entries));
    fc.assert(
      fc.property(objects, key, (object, leftOut) => {
        const members = canonicalMembers(object);
        expect(joinMembers(members)).toBe(encodeByHand(object));
        expect(sizeOfMembers(members)).toBe(Buffer.byteLength(encodeByHand(object)));
        const rest = Object.fromEntries(Object.entries(object).filter(([name]) => name !== leftOut));
        expect(joinMembers(members, new Set([leftOut]))).toBe(encodeByHand(rest));
      }),
    );
    expect(joinMembers(canonicalMembers({ n: new LooseNumber('1.50') }))).toBe('{"n":1.5}');
    expect(() => canonicalMembers({ n: new LooseNumber('1.50') }, { strict: true })).toThrow(CanonicalJsonError);
    expect(() => canonicalMembers({ n: 0.5 })).toThrow(CanonicalJsonError);
  });

  it('takes as many bytes as is said', () => {
    fc.assert(
      fc.property(value, (any) => {
        expect(canonicalSize(any)).toBe(Buffer.byteLength(encodeByHand(any)));
      }),
    );
    expect(canonicalSize({ n: new LooseNumber('1.50') })).toBe('{"n":1.5}'.length);
    expect(() => canonicalSize({ n: new LooseNumber('1.50') }, { strict: true })).toThrow(CanonicalJsonError);
    expect(() => canonicalSize({ n: 0.5 })).toThrow(CanonicalJsonError);
  });

  it('reads back as the same value and is the same again', () => {
    fc.assert(
      fc.property(value, (any) => {
        const text = canonicalJson(any);
        expect(canonicalJson(JSON.parse(text))).toBe(text);
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(any)));
      }),
    );
  });

  it('keeps keys that JavaScript treats in ways of its own', () => {
    const text = '{"10":1,"2":2,"__proto__":{"a":1},"constructor":3,"toJSON":4}';
    expect(canonicalJson(JSON.parse(text))).toBe(text);
  });

  it('orders keys by code point, not by UTF-16 unit', () => {
    expect(canonicalJson({ '\u{1F600}': 1, '\uFB01': 2 })).toBe('{"\uFB01":2,"\u{1F600}":1}');
    expect(compareByCodePoint('a', 'ab')).toBeLessThan(0);
  });

  it('nests as deep as the limit and no deeper', () => {
    const nested = (depth: number): unknown => (depth === 0 ? 1 : [nested(depth - 1)]);
    expect(canonicalJson(nested(canonicalDepthMax))).toHaveLength(2 * canonicalDepthMax + 1);
    expect(() => canonicalJson(nested(canonicalDepthMax + 1))).toThrow(CanonicalJsonError);
  });

  it('takes objects without a prototype', () => {
    expect(canonicalJson(Object.assign(Object.create(null), { a: 1 }))).toBe('{"a":1}');
  });

  const cycle: unknown[] = [];
  cycle.push(cycle);
  it.each<[string, unknown]>([
    ['a fraction', 1.5],
    ['2^53', 2 ** 53],
    ['-2^53', -(2 ** 53)],
    ['not a number', Number.NaN],
    ['infinity', Number.POSITIVE_INFINITY],
    ['a lone surrogate', '\ud800'],
    ['a lone surrogate in a key', { '\udc00': 1 }],
    ['undefined', undefined],
    ['an undefined member', { a: undefined }],
    ['a hole', new Array(1)],
    ['a function', { a: () => 1 }],
    ['a symbol', Symbol('a')],
    ['a bigint', 1n],
    ['a date', new Date(0)],
    ['a map', new Map()],
    ['a buffer', Buffer.from('a')],
    ['a cycle', cycle],
  ])('refuses %s', (_name, refused) => {
    expect(() => canonicalJson(refused)).toThrow(CanonicalJsonError);
    expect(() => canonicalJson([{ deep: refused }])).toThrow(CanonicalJsonError);
  });

  it('takes the ends of the range', () => {
    expect(canonicalJson([Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER])).toBe(
      '[9007199254740991,-9007199254740991]',
    );
  });
});

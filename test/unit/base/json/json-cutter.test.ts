import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { JsonCutError, JsonCutter, type JsonCutterOptions } from '../../../../src/base/json/json-cutter.ts';
import { propertyRuns } from '../../../support/property-runs.ts';

const options: JsonCutterOptions = { arrays: new Set(['state', 'chain']), elementBytesMax: 200, restBytesMax: 500 };

interface Cut {
  lists: Record<string, unknown[]>;
  rest: unknown;
}

/** What comes of a text that arrives in pieces of this many bytes; elements that are too long are undefined. */
function cut(text: string | Uint8Array, pieceBytes = 7, more: Partial<JsonCutterOptions> = {}): Cut {
  const cutter = new JsonCutter({ ...options, ...more });
  const bytes = Buffer.from(text);
  const lists: Record<string, unknown[]> = {};
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    for (const { key, bytes: element } of cutter.push(bytes.subarray(at, at + pieceBytes))) {
      const list = lists[key] ?? [];
      lists[key] = list;
      list.push(element && JSON.parse(Buffer.from(element).toString()));
    }
  }
  return { lists, rest: JSON.parse(cutter.end()) };
}

describe('the cutter of large JSON', () => {
  it('hands out the elements of the lists as they were written, and the rest at the end', () => {
    const text = '{ "origin" : "a" , "state":[ {"x":[1,"]}"]} ,2.50, "\\"," ] ,"event":{"e":[null]},"chain":[]}';
    expect(cut(text)).toEqual({
      lists: { state: [{ x: [1, ']}'] }, 2.5, '",'] },
      rest: { origin: 'a', state: [], event: { e: [null] }, chain: [] },
    });
  });

  it('hands out an element as soon as it is complete', () => {
    const cutter = new JsonCutter(options);
    expect(cutter.push(Buffer.from('{"state":[{"a":'))).toEqual([]);
    const [first] = cutter.push(Buffer.from('1},{"b"'));
    expect(Buffer.from(first?.bytes ?? []).toString()).toBe('{"a":1}');
  });

  it.each([1, 2, 3, 1000])('does not care where the pieces end (%i bytes each)', (pieceBytes) => {
    const text = '{"state":["ä😀\\\\",{"a\\"":"\\u00e4"}],"k\\u0065y":true,"chain":[[],{}]}';
    expect(cut(text, pieceBytes)).toEqual({
      lists: { state: ['ä😀\\', { 'a"': 'ä' }], chain: [[], {}] },
      rest: { state: [], key: true, chain: [] },
    });
  });

  it('knows a list by a key that is written with escapes', () => {
    expect(cut('{"st\\u0061te":[1]}')).toEqual({ lists: { state: [1] }, rest: { state: [] } });
  });

  it('takes the pair of a status and an object that the first version of an endpoint answers', () => {
    expect(cut(' [200 , {"state":[1],"a":2} ] ')).toEqual({ lists: { state: [1] }, rest: { state: [], a: 2 } });
  });

  it('passes over an element that is too long, and takes its neighbours', () => {
    const text = JSON.stringify({ state: [1, 'x'.repeat(300), 2, 'y'.repeat(198)] });
    expect(cut(text).lists).toEqual({ state: [1, undefined, 2, 'y'.repeat(198)] });
  });

  it('lets only its lists be long', () => {
    expect(() => cut(JSON.stringify({ other: 'x'.repeat(600) }))).toThrow(JsonCutError);
    expect(() => cut(JSON.stringify({ ['k'.repeat(600)]: 1 }))).toThrow(JsonCutError);
    const many = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`key${index}`, index]));
    expect(() => cut(JSON.stringify(many))).toThrow(JsonCutError);
    expect(cut(JSON.stringify({ state: Array.from({ length: 1000 }, () => 1) })).lists.state).toHaveLength(1000);
  });

  it.each([
    '',
    '1',
    '"x"',
    '[]',
    '[200]',
    '[200,{}',
    '[200,{}]]',
    '[,{}]',
    '{',
    '{"state":[1',
    '{"state":[1]',
    '{"state":[1,]}',
    '{"state":[,1]}',
    '{"state":[1 2]}',
    '{"state":[1}}',
    '{"a":1,}',
    '{"a":}',
    '{"a" 1}',
    '{a:1}',
    '{"a":1}{}',
    '{"state":[],"state":[]}',
  ])('refuses %s', (text) => {
    expect(() => cut(text)).toThrow(JsonCutError);
  });

  it('agrees with JSON.parse for any object', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.jsonValue()),
        fc.array(fc.jsonValue()),
        fc.nat(3),
        fc.integer({ min: 1, max: 50 }),
        (object, state, indent, pieceBytes) => {
          const text = JSON.stringify({ ...object, state }, null, indent);
          const limits = { elementBytesMax: 1e6, restBytesMax: 1e6, arrays: new Set(['state']) };
          const found = cut(text, pieceBytes, limits);
          expect(found.lists.state ?? []).toEqual(JSON.parse(text).state);
          expect(found.rest).toEqual({ ...JSON.parse(text), state: [] });
        },
      ),
      { numRuns: propertyRuns(200) },
    );
  });

  it('throws nothing but its refusal for any text', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom(...'[]{},:"\\a1 ') }),
        fc.integer({ min: 1, max: 9 }),
        (text, size) => {
          const cutter = new JsonCutter(options);
          try {
            for (let at = 0; at < text.length; at += size) cutter.push(Buffer.from(text.slice(at, at + size)));
            cutter.end();
          } catch (error) {
            expect(error).toBeInstanceOf(JsonCutError);
          }
        },
      ),
      { numRuns: propertyRuns(500) },
    );
  });
});

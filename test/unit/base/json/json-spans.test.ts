import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { findArraySpans } from '../../../../src/base/json/json-spans.ts';

const elements = (text: string, key: string): unknown[] | undefined =>
  findArraySpans(text, key)?.map(({ start, end }) => JSON.parse(text.slice(start, end)));

describe('findArraySpans', () => {
  it('finds each element of the array under a key, in the raw text', () => {
    const text = '{ "a" : [1.0, {"b": [2, "]"]} , "\\"}", null ] , "c": 3 }';
    expect(findArraySpans(text, 'a')?.map(({ start, end }) => text.slice(start, end))).toEqual([
      '1.0',
      '{"b": [2, "]"]}',
      '"\\"}"',
      'null',
    ]);
  });

  it('answers undefined where there is no such array', () => {
    expect(findArraySpans('{"a":{"pdus":[1]}}', 'pdus')).toBeUndefined();
    expect(findArraySpans('{"pdus":{}}', 'pdus')).toBeUndefined();
    expect(findArraySpans('[1]', 'pdus')).toBeUndefined();
  });

  it('takes the last of several equal keys, as JSON.parse does, also when it is written with escapes', () => {
    expect(elements('{"a":[1],"\\u0061":[2]}', 'a')).toEqual([2]);
    expect(elements('{"a":[1],"a":2}', 'a')).toBeUndefined();
  });

  it('agrees with JSON.parse for any object', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.jsonValue()),
        fc.array(fc.jsonValue()),
        fc.nat(3),
        (object, list, indent) => {
          const text = JSON.stringify({ ...object, pdus: list }, null, indent);
          expect(elements(text, 'pdus')).toEqual(JSON.parse(text).pdus);
        },
      ),
    );
  });
});

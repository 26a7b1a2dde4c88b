import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeBase64, decodeBase64Url, encodeBase64, encodeBase64Url } from '../../../src/base/base64.ts';
import { readVectors } from '../../support/vectors.ts';

describe('Base64', () => {
  it.each(readVectors<{ text: string; base64: string }[]>('base64.json'))('of "$text" is as published', (vector) => {
    expect(encodeBase64(Buffer.from(vector.text))).toBe(vector.base64);
    expect(decodeBase64(vector.base64)?.toString()).toBe(vector.text);
  });

  it('gives back any bytes, in both alphabets', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 70 }), (bytes) => {
        expect([...(decodeBase64(encodeBase64(bytes)) ?? [])]).toEqual([...bytes]);
        expect([...(decodeBase64Url(encodeBase64Url(bytes)) ?? [])]).toEqual([...bytes]);
        expect(encodeBase64(bytes)).not.toContain('=');
      }),
    );
  });

  it('encodes the window of a view, not the buffer behind it', () => {
    expect(encodeBase64(new Uint8Array(Buffer.from('xfoox')).subarray(1, 4))).toBe('Zm9v');
  });

  it('has the two alphabets apart', () => {
    const bytes = Buffer.from([0xfb, 0xff]);
    expect(encodeBase64(bytes)).toBe('+/8');
    expect(encodeBase64Url(bytes)).toBe('-_8');
    expect(decodeBase64('-_8')).toBeUndefined();
    expect(decodeBase64Url('+/8')).toBeUndefined();
  });

  it('accepts correct padding and the stray bits of the published key', () => {
    expect(decodeBase64('Zg==')?.toString()).toBe('f');
    expect(decodeBase64('YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1')).toHaveLength(32);
  });

  it.each(['Z', 'Zm9vY', 'Zm 9v', 'Zm9v\n', 'Zg=', 'Zg===', '=', '====', 'Zm=v', 'Zm9\u00e9', 'Zm9v!'])(
    'refuses "%s"',
    (junk) => {
      expect(decodeBase64(junk)).toBeUndefined();
      expect(decodeBase64Url(junk)).toBeUndefined();
    },
  );
});

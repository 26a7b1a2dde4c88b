import { randomBytes } from 'node:crypto';
import { assert } from './assert.ts';

/** Randomness as a dependency, so that a test can repeat itself. The real one is cryptographically strong. */
export interface Random {
  bytes(length: number): Uint8Array;
  /** `length` characters of A-Z, a-z, 0-9: just under six bits each. For access tokens, room ids, session ids. */
  token(length: number): string;
  /** A whole number, 0 ≤ n < `maxExclusive` ≤ 2^32, each equally likely. */
  int(maxExclusive: number): number;
  /** 0 ≤ x < 1, for jitter. */
  fraction(): number;
}

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
/** The largest multiple of the alphabet's length in a byte; higher bytes are thrown away, or some letters would be likelier. */
const byteBound = 256 - (256 % alphabet.length);
const uint32Range = 2 ** 32;

/** Everything above made of one source of bytes. */
export function createRandom(bytes: (length: number) => Uint8Array): Random {
  const uint32 = (): number => {
    const four = bytes(4);
    return new DataView(four.buffer, four.byteOffset, 4).getUint32(0);
  };
  return {
    bytes,
    token(length) {
      let text = '';
      while (text.length < length) {
        for (const byte of bytes(length - text.length + 8)) {
          if (byte < byteBound && text.length < length) text += alphabet[byte % alphabet.length];
        }
      }
      return text;
    },
    int(maxExclusive) {
      assert(
        Number.isInteger(maxExclusive) && maxExclusive > 0 && maxExclusive <= uint32Range,
        'random.int needs 1 to 2^32',
      );
      const bound = uint32Range - (uint32Range % maxExclusive);
      let number = uint32();
      while (number >= bound) number = uint32();
      return number % maxExclusive;
    },
    fraction: () => uint32() / uint32Range,
  };
}

const poolBytes = 4_096;

/** A source that asks the system for many bytes at once. What it gave out it forgets. */
function pooled(source: (length: number) => Uint8Array): (length: number) => Uint8Array {
  let pool: Uint8Array = new Uint8Array(0);
  let at = 0;
  return (length) => {
    if (length > poolBytes / 16) return source(length);
    if (at + length > pool.length) {
      pool = source(poolBytes);
      at = 0;
    }
    const given = pool.slice(at, at + length);
    pool.fill(0, at, at + length);
    at += length;
    return given;
  };
}

// A call of the system for each of many small wishes is a measurable part of a long-poll's answer.
export const systemRandom: Random = createRandom(pooled((length) => new Uint8Array(randomBytes(length))));

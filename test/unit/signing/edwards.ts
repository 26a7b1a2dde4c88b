import { createHash } from 'node:crypto';
import { assert } from '../../../src/base/assert.ts';

/**
 * The group of Ed25519 in plain numbers (RFC 8032, section 5.1), slow and not for secrets: what makes signatures that no honest signer
 * makes, to see that they are refused.
 */
export interface Point {
  readonly x: bigint;
  readonly y: bigint;
}

export const prime = 2n ** 255n - 19n;
/** Of the base point. */
export const order = 2n ** 252n + 27742317777372353535851937790883648493n;

const d = modulo(-121665n * inverse(121666n));
const rootOfMinusOne = power(2n, (prime - 1n) / 4n);

export const neutral: Point = { x: 0n, y: 1n };
export const base = pointAt(modulo(4n * inverse(5n)), 0n);
/** Of order eight: its multiples are all the points of small order. */
export const torsion = pointAt(0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n, 0n);

export function add(a: Point, b: Point): Point {
  const product = modulo(d * a.x * b.x * a.y * b.y);
  return {
    x: modulo((a.x * b.y + b.x * a.y) * inverse(1n + product)),
    y: modulo((a.y * b.y + a.x * b.x) * inverse(1n - product)),
  };
}

export function multiply(point: Point, times: bigint): Point {
  let sum = spread(neutral);
  let doubled = spread(point);
  for (let rest = times; rest > 0n; rest >>= 1n) {
    if (rest & 1n) sum = addSpread(sum, doubled);
    doubled = addSpread(doubled, doubled);
  }
  const { x, y, z } = sum;
  const ofZ = inverse(z);
  return { x: modulo(x * ofZ), y: modulo(y * ofZ) };
}

/** Extended homogeneous coordinates (RFC 8032, section 5.1.4): x/z, y/z, and x*y = z*t, so that adding needs no inverse. */
interface Spread extends Point {
  readonly z: bigint;
  readonly t: bigint;
}

function spread({ x, y }: Point): Spread {
  return { x, y, z: 1n, t: modulo(x * y) };
}

function addSpread(one: Spread, other: Spread): Spread {
  const a = modulo((one.y - one.x) * (other.y - other.x));
  const b = modulo((one.y + one.x) * (other.y + other.x));
  const c = modulo(one.t * 2n * d * other.t);
  const e = modulo(one.z * 2n * other.z);
  const [f, g, h, i] = [b - a, e - c, e + c, b + a];
  return { x: modulo(f * g), y: modulo(h * i), z: modulo(g * h), t: modulo(f * i) };
}

export function encodePoint({ x, y }: Point): Buffer {
  return encodeNumber(y | ((x & 1n) << 255n));
}

/** 32 bytes, little-endian. */
export function encodeNumber(number: bigint): Buffer {
  return Buffer.from(number.toString(16).padStart(64, '0'), 'hex').reverse();
}

export function decodeNumber(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`);
}

/** What a signature multiplies the secret with. */
export function challenge(r: Uint8Array, publicKey: Uint8Array, message: Uint8Array): bigint {
  return decodeNumber(createHash('sha512').update(r).update(publicKey).update(message).digest()) % order;
}

function pointAt(y: bigint, sign: bigint): Point {
  const square = modulo((y * y - 1n) * inverse(d * y * y + 1n));
  const root = power(square, (prime + 3n) / 8n);
  const x = modulo(root * root - square) === 0n ? root : modulo(root * rootOfMinusOne);
  assert(modulo(x * x - square) === 0n, 'the point is on the curve');
  return { x: (x & 1n) === sign ? x : modulo(-x), y };
}

function inverse(number: bigint): bigint {
  return power(modulo(number), prime - 2n);
}

function power(number: bigint, exponent: bigint): bigint {
  let result = 1n;
  let squared = number;
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = modulo(result * squared);
    squared = modulo(squared * squared);
  }
  return result;
}

function modulo(number: bigint): bigint {
  return ((number % prime) + prime) % prime;
}

/**
 * The seven ways to write the y coordinate of a point of small order, little-endian, sign bit cleared. With such a key a signature can
 * be made that fits many messages.
 */
const smallOrderPoints = new Set([
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
]);

/** Whether these 32 bytes, in canonical form or not, stand for a point of small order. */
export function isOfSmallOrder(point: Uint8Array): boolean {
  return smallOrderPoints.has(yOf(point).toString('hex'));
}

/** Whether the y coordinate is below 2^255 - 19: else the same point has another, shorter form. */
export function isCanonical(point: Uint8Array): boolean {
  const y = yOf(point);
  if (y[31] !== 0x7f || (y[0] ?? 0) < 0xed) return true;
  return !y.subarray(1, 31).every((byte) => byte === 0xff);
}

/** A copy without the sign of x. */
function yOf(point: Uint8Array): Buffer {
  const y = Buffer.from(point);
  y[31] = (y[31] ?? 0) & 0x7f;
  return y;
}

import { isIPv4, isIPv6 } from 'node:net';

/**
 * What stands for one caller when callers are counted by address: an IPv4 address, or the /64 network of an IPv6 one, which is
 * the least that anybody is given. Other text stands for itself.
 */
export function addressGroup(address: string): string {
  const mapped = /^::ffff:([0-9.]+)$/i.exec(address)?.[1];
  if (mapped !== undefined && isIPv4(mapped)) return mapped;
  const [bare = ''] = address.split('%');
  if (!isIPv6(bare)) return address;
  const [front = '', back] = bare.split('::');
  const leading = front === '' ? [] : front.split(':');
  // The gap stands for as many zeroes as are missing of the eight parts.
  const trailing = back === undefined || back === '' ? [] : back.split(':');
  const zeroes = back === undefined ? 0 : Math.max(0, 8 - leading.length - trailing.length);
  const parts = [...leading, ...Array.from({ length: zeroes }, () => '0'), ...trailing].slice(0, 4);
  return `${parts.map((part) => Number.parseInt(part, 16).toString(16)).join(':')}::/64`;
}

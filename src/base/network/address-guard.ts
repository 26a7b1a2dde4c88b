import { BlockList, isIP, isIPv6 } from 'node:net';

export interface AddressGuardOptions {
  /** Allows every address; for development on one machine. */
  allowPrivateAddresses: boolean;
  /** Ranges (`10.1.0.0/16`, `fd00::/8`) or single addresses that are allowed although they are private. */
  allowedRanges?: readonly string[];
}

/** Where no public server lives: private, loopback, link-local, shared, reserved, documentation, multicast. */
const forbiddenRanges = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
  // Also holds the unspecified address and loopback.
  '::/96',
  '64:ff9b:1::/48',
  '100::/64',
  '2001::/23',
  '2001:db8::/32',
  '2002::/16',
  'fc00::/7',
  'fe80::/10',
  'fec0::/10',
  'ff00::/8',
];

function toBlockList(ranges: readonly string[]): BlockList {
  const list = new BlockList();
  for (const range of ranges) {
    const [address = '', prefix] = range.split('/');
    const family = isIPv6(address) ? 'ipv6' : 'ipv4';
    list.addSubnet(address, prefix === undefined ? (family === 'ipv6' ? 128 : 32) : Number(prefix), family);
  }
  return list;
}

/**
 * Answers whether we may connect to an IP address that a stranger named. An IPv4 address inside an IPv6 one counts as what it
 * is. Throws for allowed ranges that are none.
 */
export function createAddressGuard(options: AddressGuardOptions): (address: string) => boolean {
  const forbidden = toBlockList(forbiddenRanges);
  const allowed = toBlockList(options.allowedRanges ?? []);
  return (address) => {
    const version = isIP(address);
    if (version === 0) return false;
    if (options.allowPrivateAddresses) return true;
    const family = version === 6 ? 'ipv6' : 'ipv4';
    return allowed.check(address, family) || !forbidden.check(address, family);
  };
}

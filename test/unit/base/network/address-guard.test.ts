import { describe, expect, it } from 'vitest';
import { createAddressGuard } from '../../../../src/base/network/address-guard.ts';

describe('the address guard', () => {
  const guard = createAddressGuard({ allowPrivateAddresses: false });

  it.each([
    '0.0.0.0',
    '10.1.2.3',
    '100.64.0.1',
    '127.0.0.1',
    '127.255.255.255',
    '169.254.169.254',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '224.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '::ffff:10.0.0.1',
    '::127.0.0.1',
    'fc00::1',
    'fd12::1',
    'fe80::1',
    'ff02::1',
    '2001:db8::1',
  ])('refuses %s', (address) => {
    expect(guard(address)).toBe(false);
  });

  it.each(['1.1.1.1', '9.255.255.255', '11.0.0.0', '172.32.0.1', '193.0.0.1', '2606:4700::1111', '::ffff:1.1.1.1'])(
    'allows %s',
    (address) => {
      expect(guard(address)).toBe(true);
    },
  );

  it.each(['', 'example.org', '127.1', '0x7f000001', '[::1]'])('refuses %j, which is no address', (text) => {
    expect(guard(text)).toBe(false);
    expect(createAddressGuard({ allowPrivateAddresses: true })(text)).toBe(false);
  });

  it('allows private addresses where the configuration does, all or some', () => {
    expect(createAddressGuard({ allowPrivateAddresses: true })('127.0.0.1')).toBe(true);
    const some = createAddressGuard({
      allowPrivateAddresses: false,
      allowedRanges: ['10.1.0.0/16', '::1', '127.0.0.1'],
    });
    expect(['10.1.9.9', '::1', '127.0.0.1'].map(some)).toEqual([true, true, true]);
    expect(['10.2.0.1', '::2', '127.0.0.2'].map(some)).toEqual([false, false, false]);
  });
});

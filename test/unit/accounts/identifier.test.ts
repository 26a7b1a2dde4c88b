import { describe, expect, it } from 'vitest';
import { downcase, parseIdentifier, resolveLocalUser } from '../../../src/accounts/identifier.ts';
import type { ServerName } from '../../../src/matrix/server-name.ts';

const server = 'a.test:8448' as ServerName;

describe('resolveLocalUser', () => {
  it.each([
    ['alice', '@alice:a.test:8448'],
    ['ALICE', '@alice:a.test:8448'],
    ['@alice:a.test:8448', '@alice:a.test:8448'],
    ['@Alice:a.test:8448', '@alice:a.test:8448'],
    ['@alice:a.test', undefined],
    ['@alice:b.test', undefined],
    ['@alice', undefined],
    ['alice:a.test:8448', undefined],
    ['', '@:a.test:8448'],
    ['x'.repeat(300), undefined],
  ])('of %s is %s', (user, expected) => {
    expect(resolveLocalUser(user, server)).toBe(expected);
  });
});

describe('downcase', () => {
  it('changes ASCII letters only', () => {
    expect(downcase('AbZ')).toBe('abz');
    // The Kelvin sign, whose lower case is the letter k.
    expect(downcase('\u212a')).toBe('\u212a');
  });
});

describe('parseIdentifier', () => {
  it('prefers the identifier to the older field', () => {
    expect(parseIdentifier({ identifier: { type: 'm.id.user', user: 'a' }, user: 'b' })).toBe('a');
    expect(parseIdentifier({ identifier: null, user: 'b' })).toBe('b');
    expect(parseIdentifier({})).toBeUndefined();
  });
});

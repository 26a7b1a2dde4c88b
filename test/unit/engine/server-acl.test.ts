import { describe, expect, it } from 'vitest';
import { isServerAllowedBy } from '../../../src/engine/server-acl.ts';
import type { ServerName } from '../../../src/matrix/server-name.ts';

const isAllowed = (acl: Record<string, unknown> | undefined, server: string) =>
  isServerAllowedBy(acl, server as ServerName);

describe('a server access control list', () => {
  it('that does not exist allows everybody', () => {
    expect(isAllowed(undefined, 'a.example')).toBe(true);
  });

  it('allows who matches the allow list, and nobody else', () => {
    expect(isAllowed({ allow: ['*.example'] }, 'a.example')).toBe(true);
    expect(isAllowed({ allow: ['*.example'] }, 'a.other')).toBe(false);
    expect(isAllowed({}, 'a.example')).toBe(false);
    expect(isAllowed({ allow: '*' }, 'a.example')).toBe(false);
  });

  it('asks the deny list first', () => {
    expect(isAllowed({ allow: ['*'], deny: ['bad.*'] }, 'bad.example')).toBe(false);
    expect(isAllowed({ allow: ['*'], deny: ['bad.*'] }, 'good.example')).toBe(true);
  });

  it('does not look at the port or at case', () => {
    expect(isAllowed({ allow: ['*'], deny: ['BAD.example'] }, 'bad.example:8448')).toBe(false);
    expect(isAllowed({ allow: ['good.example'] }, 'Good.example:1')).toBe(true);
  });

  it('keeps IP literals out when it says so', () => {
    for (const server of ['127.0.0.1', '127.0.0.1:8448', '[::1]', '[::1]:8448']) {
      expect(isAllowed({ allow: ['*'], allow_ip_literals: false }, server)).toBe(false);
      expect(isAllowed({ allow: ['*'] }, server)).toBe(true);
    }
    expect(isAllowed({ allow: ['*'], allow_ip_literals: false }, 'a.example')).toBe(true);
  });

  it('passes over entries that are no strings', () => {
    expect(isAllowed({ allow: [1, null, 'a.example'] }, 'a.example')).toBe(true);
    expect(isAllowed({ allow: ['*'], deny: [{}] }, 'a.example')).toBe(true);
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileGlob } from '../../../src/base/glob.ts';
import type { RoomId } from '../../../src/matrix/ids.ts';
import type { ServerName } from '../../../src/matrix/server-name.ts';
import {
  coversServer,
  isCatchAll,
  mayMatchServer,
  parseSharingConfig,
  readStoredConfig,
  withDeniedRoom,
  withoutRoom,
} from '../../../src/presence/sharing-config.ts';

const problemOf = (content: Record<string, unknown>): string | undefined => {
  const parsed = parseSharingConfig(content);
  return parsed.outcome === 'bad' ? parsed.problem : undefined;
};

describe('a config', () => {
  it("is read as the proposal's example has it", () => {
    const parsed = parseSharingConfig({
      allowed_users: ['@alice:example.org', '@b*:example.org', '@*:matrix.org', '!co1dcoffee'],
      denied_users: ['@bob:example.org'],
    });
    if (parsed.outcome === 'bad') throw new Error(parsed.problem);
    const { allowed, denied } = parsed.config;
    expect([...allowed.users]).toEqual(['@alice:example.org']);
    expect(allowed.globs.map(({ text }) => text)).toEqual(['@b*:example.org', '@*:matrix.org']);
    expect([...allowed.rooms]).toEqual(['!co1dcoffee']);
    expect([...denied.users]).toEqual(['@bob:example.org']);
    expect(denied.catchAll).toBeNull();
  });

  it.each([
    [{}, undefined],
    [{ allowed_users: [] }, undefined],
    [{ unknown: 'field' }, undefined],
    [{ allowed_users: null }, 'allowed_users is not a list'],
    [{ denied_users: {} }, 'denied_users is not a list'],
    [{ denied_users: ['@ok:x', 5] }, 'denied_users[1] is not a string'],
    [{ allowed_users: ['alice'] }, 'allowed_users[0]: "alice" is no user id, glob or room id'],
    [{ allowed_users: ['#a:b'] }, 'allowed_users[0]: "#a:b" is no user id, glob or room id'],
    [{ allowed_users: ['@nobody'] }, 'allowed_users[0]: "@nobody" is no user id, glob or room id'],
    [{ allowed_users: ['!'] }, 'allowed_users[0]: "!" is no user id, glob or room id'],
    [{ allowed_users: ['*'] }, 'allowed_users[0]: "*" is no user id, glob or room id'],
    [{ allowed_users: [''] }, 'allowed_users[0]: "" is no user id, glob or room id'],
    [{ allowed_users: ['x'], denied_users: ['y'] }, 'allowed_users[0]: "x" is no user id, glob or room id'],
  ])('%j has the problem: %s', (content, problem) => {
    expect(problemOf(content)).toBe(problem);
  });

  it('holds 1,000 entries and 100 globs a list, of 255 bytes each, and no more', () => {
    const users = (count: number) => Array.from({ length: count }, (_, index) => `@u${index}:x`);
    const globs = (count: number) => Array.from({ length: count }, (_, index) => `@g${index}*`);
    expect(problemOf({ allowed_users: users(1_000), denied_users: users(1_000) })).toBeUndefined();
    expect(problemOf({ allowed_users: users(1_001) })).toBe('allowed_users[1000]: there are more than 1000 entries');
    expect(problemOf({ allowed_users: globs(100), denied_users: globs(100) })).toBeUndefined();
    expect(problemOf({ denied_users: globs(101) })).toBe('denied_users[100]: there are more than 100 globs');
    expect(problemOf({ denied_users: [`!${'x'.repeat(254)}`] })).toBeUndefined();
    expect(problemOf({ denied_users: [`!${'é'.repeat(128)}`] })).toBe('denied_users[0] is longer than 255 bytes');
  });

  it('takes a room id for a room id, whatever is in it', () => {
    const parsed = parseSharingConfig({ denied_users: ['!*'] });
    expect(parsed).toMatchObject({ outcome: 'config', config: { denied: { catchAll: null, globs: [] } } });
  });

  it('stored, may have grown by the rooms that the server added', () => {
    const rooms = Array.from({ length: 1_500 }, (_, index) => `!r${index}`);
    expect(readStoredConfig({ denied_users: rooms })?.denied.rooms.size).toBe(1_500);
    expect(readStoredConfig({ denied_users: ['x'] })).toBeUndefined();
  });
});

describe('a catch-all', () => {
  it.each([['@*'], ['@**'], ['@*:*'], ['@**:***']])('is %s', (glob) => {
    expect(isCatchAll(glob)).toBe(true);
  });

  it.each([['@*:x'], ['@?*'], ['@*?:*'], ['@*a'], ['@:*']])('is not %s', (glob) => {
    expect(isCatchAll(glob)).toBe(false);
  });
});

describe('a glob and a server', () => {
  const server = 'x.test:80' as ServerName;

  it('covers it whole when it matches whoever is there', () => {
    expect(['@*', '@*:*', '@*:x.test:80', '@**:x.test:80'].map((glob) => coversServer(glob, server))).toEqual([
      true,
      true,
      true,
      true,
    ]);
    expect(['@a*', '@*:x.test', '@*:y', '@?*:x.test:80'].map((glob) => coversServer(glob, server))).toEqual([
      false,
      false,
      false,
      false,
    ]);
  });

  it('is never said not to match where it does', () => {
    const part = fc.constantFrom('*', '?', 'a', 'x', '.', 'test', ':', '80', 'x.test:80', ':x.test:80');
    const glob = fc.array(part, { maxLength: 6 }).map((parts) => `@${parts.join('')}`);
    const localpart = fc.constantFrom('a', 'x', 'ax', 'x.test', 'a:x', '');
    let refused = 0;
    fc.assert(
      fc.property(glob, localpart, (pattern, local) => {
        if (mayMatchServer(pattern, server)) return;
        refused += 1;
        expect(compileGlob(pattern)(`@${local}:${server}`)).toBe(false);
      }),
      { numRuns: 1_000 },
    );
    expect(refused).toBeGreaterThan(100);
  });
});

describe('rooms in a config', () => {
  const room = '!r' as RoomId;

  it('are taken out of a list, and nothing else with them', () => {
    const config = { allowed_users: ['@a:b', '!r', '!s'], denied_users: ['!r'], more: 1 };
    expect(withoutRoom(config, 'allowed_users', room)).toEqual({
      allowed_users: ['@a:b', '!s'],
      denied_users: ['!r'],
      more: 1,
    });
    expect(withoutRoom({ allowed_users: ['!s'] }, 'allowed_users', room)).toBeUndefined();
    expect(withoutRoom({}, 'allowed_users', room)).toBeUndefined();
  });

  it('are added to the denied ones once', () => {
    expect(withDeniedRoom({ denied_users: ['!s'] }, room)).toEqual({ denied_users: ['!s', '!r'] });
    expect(withDeniedRoom({ denied_users: ['!r'] }, room)).toBeUndefined();
  });
});

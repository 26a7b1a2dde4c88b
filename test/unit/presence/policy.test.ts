import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RoomId, UserId } from '../../../src/matrix/ids.ts';
import { serverOfUser } from '../../../src/matrix/ids.ts';
import type { ServerName } from '../../../src/matrix/server-name.ts';
import { createFacts } from '../../../src/presence/core/facts.ts';
import { decide, maySee, type PolicyFacts, sharesWithWholeServer } from '../../../src/presence/policy.ts';
import { compileRules, parseSharingConfig, type SharingConfig } from '../../../src/presence/sharing-config.ts';

const alice = '@alice:a.test' as UserId;
const bob = '@bob:b.test' as UserId;

interface Example {
  readonly allowed?: readonly string[];
  readonly denied?: readonly string[];
  readonly ignored?: readonly string[];
  /** Rooms that both are in. */
  readonly shared?: readonly string[];
  readonly excluded?: readonly string[];
}

function parse(allowed: readonly string[] = [], denied: readonly string[] = []): SharingConfig {
  const parsed = parseSharingConfig({ allowed_users: [...allowed], denied_users: [...denied] });
  if (parsed.outcome === 'bad') throw new Error(parsed.problem);
  return parsed.config;
}

function factsOf(
  rooms: ReadonlyMap<string, readonly string[]>,
  {
    config,
    ignored = [],
    excluded = [],
  }: { config: SharingConfig; ignored?: readonly string[]; excluded?: readonly string[] },
): PolicyFacts {
  const rules = compileRules([config], new Set(ignored as UserId[]));
  return createFacts({
    roomsOf: (user) => new Set((rooms.get(user) ?? []) as RoomId[]),
    counts: (room) => !excluded.includes(room),
    rulesOf: () => rules,
  });
}

function judge({ allowed, denied, ignored = [], shared = ['!a'], excluded }: Example) {
  const config = parse(allowed, denied);
  const rooms = new Map([
    [alice, [...shared, '!hers']],
    [bob, [...shared, '!his']],
  ]);
  const facts = factsOf(rooms, { config, ignored, ...(excluded ? { excluded } : {}) });
  const verdict = decide({ subject: alice, viewer: bob, config, ignored: new Set(ignored as UserId[]) }, facts);
  expect(maySee(alice, bob, facts)).toBe(verdict.sees);
  return [verdict.step, verdict.sees];
}

describe('each step', () => {
  it('1: oneself, whatever the lists say', () => {
    const config = parse([], [alice, '@*']);
    const facts = factsOf(new Map(), { config, ignored: [alice] });
    expect(decide({ subject: alice, viewer: alice, config, ignored: new Set([alice]) }, facts)).toEqual({
      sees: true,
      step: 1,
    });
    expect(maySee(alice, alice, facts)).toBe(true);
  });

  const table: [string, Example, number, boolean][] = [
    ['2: named in allowed_users', { allowed: [bob], denied: ['@*'] }, 2, true],
    ['2: over being ignored', { allowed: [bob], ignored: [bob] }, 2, true],
    ['2: over being denied by name', { allowed: [bob], denied: [bob] }, 2, true],
    ['2: in an excluded room', { allowed: [bob], excluded: ['!a'] }, 2, true],
    ['2: not without a shared room', { allowed: [bob], shared: [] }, 2, false],
    ['3: ignored', { ignored: [bob], allowed: ['@*'] }, 3, false],
    ['3: named in denied_users', { denied: [bob], allowed: ['@b*', '!a'] }, 3, false],
    ['4: a glob of allowed_users', { allowed: ['@b*'], denied: ['@*:b.test', '@*', '!a'] }, 4, true],
    ['4: only in a room that counts', { allowed: ['@b*'], denied: ['@*'], excluded: ['!a'] }, 7, false],
    ['4: a catch-all allows too', { allowed: ['@*'], denied: ['@bo*'] }, 4, true],
    ['5: a glob of denied_users', { denied: ['@b*'], allowed: ['!a'] }, 5, false],
    ['5: not by a glob that does not match', { denied: ['@c*'] }, 8, true],
    ['5: ? is one character', { denied: ['@b?b:b.test'] }, 5, false],
    ['6: a room of allowed_users', { denied: ['@*'], allowed: ['!a'] }, 6, true],
    ['6: over the same room denied', { denied: ['!a'], allowed: ['!a'] }, 6, true],
    ['6: not a room that she alone is in', { denied: ['@*'], allowed: ['!hers'] }, 7, false],
    ['6: not a room that he alone is in', { denied: ['@*'], allowed: ['!his'] }, 7, false],
    ['6: not a room that does not count', { denied: ['@*'], allowed: ['!a'], excluded: ['!a'] }, 7, false],
    ['7: a catch-all', { denied: ['@*'] }, 7, false],
    ['7: a catch-all with runs of stars', { denied: ['@***:**'] }, 7, false],
    ['7: is no glob for step 5', { denied: ['@*:*'], allowed: ['!a'] }, 6, true],
    ['8: a shared room', {}, 8, true],
    ['8: one of two, the other denied', { shared: ['!a', '!b'], denied: ['!a'] }, 8, true],
    ['9: every shared room denied', { shared: ['!a', '!b'], denied: ['!a', '!b'] }, 9, false],
    ['9: no shared room', { shared: [] }, 9, false],
    ['9: no shared room that counts', { excluded: ['!a'] }, 9, false],
  ];

  it.each(table)('%s', (_, example, step, sees) => {
    expect(judge(example)).toEqual([step, sees]);
  });

  it('cares for case', () => {
    expect(judge({ denied: ['@BOB:b.test', '@B*'] })).toEqual([8, true]);
  });
});

describe('what cannot be read', () => {
  it('is seen by nobody but the user', () => {
    const facts = createFacts({
      roomsOf: () => new Set(['!a' as RoomId]),
      counts: () => true,
      rulesOf: () => ({ ...compileRules([parse([bob])], new Set()), unreadable: true }),
    });
    expect(maySee(alice, bob, facts)).toBe(false);
    expect(maySee(alice, alice, facts)).toBe(true);
    expect(sharesWithWholeServer(alice, 'b.test' as ServerName, facts)).toBe(false);
  });
});

describe('by property', () => {
  const users = ['@a:x.test', '@b:x.test', '@ab:y.test', '@b:y.test'];
  const roomIds = ['!1', '!2', '!3'];
  const user = fc.constantFrom(...users) as fc.Arbitrary<UserId>;
  const glob = fc.constantFrom('@*', '@*:*', '@**', '@a*', '@?:x.test', '@*:y.test', '@*b:*', '@b:?.test', '@*x.test');
  const entries = fc.array(fc.oneof(user, glob, fc.constantFrom(...roomIds)), { maxLength: 5 });
  const rooms = fc.subarray(roomIds);
  const world = fc.record({
    allowed: entries,
    denied: entries,
    ignored: fc.subarray(users),
    excluded: fc.subarray(roomIds),
    hers: rooms,
  });

  /** The nine steps read literally, with regular expressions and lists. */
  function oracle(
    {
      allowed,
      denied,
      ignored,
      excluded,
      hers,
    }: { allowed: string[]; denied: string[]; ignored: string[]; excluded: string[]; hers: string[] },
    pair: { subject: string; viewer: string; his: string[] },
  ): boolean {
    const { subject, viewer, his } = pair;
    if (subject === viewer) return true;
    const shared = hers.filter((room) => his.includes(room));
    const counting = shared.filter((room) => !excluded.includes(room));
    const collapse = (entry: string) => entry.replace(/\*+/g, '*');
    const isCatchAll = (entry: string) => ['@*', '@*:*'].includes(collapse(entry));
    const matches = (entry: string) =>
      entry.startsWith('@') &&
      /[*?]/.test(entry) &&
      new RegExp(`^${entry.replaceAll('.', '\\.').replaceAll('*', '.*').replaceAll('?', '.')}$`).test(viewer);
    if (allowed.includes(viewer)) return shared.length > 0;
    if (ignored.includes(viewer) || denied.includes(viewer)) return false;
    if (allowed.some(matches) && counting.length > 0) return true;
    if (denied.some((entry) => matches(entry) && !isCatchAll(entry))) return false;
    if (counting.some((room) => allowed.includes(room))) return true;
    if (denied.some(isCatchAll)) return false;
    return counting.some((room) => !denied.includes(room));
  }

  it('the policy is what the nine steps say', () => {
    fc.assert(
      fc.property(world, user, user, rooms, (facts, subject, viewer, his) => {
        const membership = new Map([
          [viewer as string, his],
          [subject as string, facts.hers],
        ]);
        const config = parse(facts.allowed, facts.denied);
        const sees = maySee(subject, viewer, factsOf(membership, { ...facts, config }));
        const hisRooms = subject === viewer ? facts.hers : his;
        expect(sees).toBe(oracle(facts, { subject, viewer, his: hisRooms }));
      }),
      { numRuns: 500 },
    );
  });

  it('a whole server is one where whoever may come to share a room sees the subject', () => {
    let whole = 0;
    fc.assert(
      fc.property(world, (facts) => {
        const subject = '@s:s.test' as UserId;
        const config = parse(facts.allowed, facts.denied);
        for (const server of ['x.test', 'y.test'] as ServerName[]) {
          const alone = factsOf(new Map([[subject, facts.hers]]), { ...facts, config });
          if (!sharesWithWholeServer(subject, server, alone)) continue;
          whole += 1;
          for (const viewer of [...users, `@later:${server}`] as UserId[]) {
            if (serverOfUser(viewer) !== server) continue;
            for (const room of facts.hers) {
              const membership = new Map<string, readonly string[]>([
                [subject, facts.hers],
                [viewer, [room]],
              ]);
              expect(maySee(subject, viewer, factsOf(membership, { ...facts, config }))).toBe(true);
            }
          }
        }
      }),
      { numRuns: 500 },
    );
    expect(whole).toBeGreaterThan(50);
  });
});

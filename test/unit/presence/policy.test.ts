import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RoomId, UserId } from '../../../src/matrix/ids.ts';
import { serverOfUser } from '../../../src/matrix/ids.ts';
import type { ServerName } from '../../../src/matrix/server-name.ts';
import { createFacts } from '../../../src/presence/core/facts.ts';
import {
  decide,
  findObjection,
  maySee,
  type PolicyFacts,
  reaches,
  sharesWithWholeServer,
} from '../../../src/presence/policy.ts';
import { parseSharingConfig, type SharingConfig } from '../../../src/presence/sharing-config.ts';
import { compileRules, strangerServersOf } from '../../../src/presence/sharing-rules.ts';

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
    ['2: also without a shared room', { allowed: [bob], shared: [] }, 2, true],
    ['4: not without a shared room', { allowed: ['@b*'], shared: [] }, 9, false],
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

describe('a stranger', () => {
  const carol = '@carol:a.test' as UserId;

  function reached(
    viewer: UserId,
    { allowed = [], wanted, ignored = [] }: { allowed?: string[]; wanted?: string[]; ignored?: string[] },
  ): boolean {
    const hers = compileRules([parse(allowed)], new Set());
    const theirs = compileRules(wanted ? [parse(wanted)] : [], new Set(ignored as UserId[]));
    const facts = createFacts({
      roomsOf: () => new Set(),
      counts: () => true,
      rulesOf: (user) => (user === alice ? hers : theirs),
    });
    return reaches(alice, viewer, facts);
  }

  it('of the same server is told only if both name each other', () => {
    expect(reached(carol, { allowed: [carol], wanted: [alice] })).toBe(true);
    expect(reached(carol, { allowed: [carol], wanted: ['@a*', '@*'] })).toBe(false);
    expect(reached(carol, { allowed: [carol] })).toBe(false);
    expect(reached(carol, { wanted: [alice] })).toBe(false);
    expect(reached(carol, { allowed: ['@*'], wanted: [alice] })).toBe(false);
  });

  it('who ignores the subject does not want them, however they name them', () => {
    expect(reached(carol, { allowed: [carol], wanted: [alice], ignored: [alice] })).toBe(false);
  });

  it("does not want whom only the administrator's default names", () => {
    const fallback = parse([alice, carol]);
    const rules = compileRules([], new Set(), { fallback, override: null });
    const facts = createFacts({ roomsOf: () => new Set(), counts: () => true, rulesOf: () => rules });
    expect(maySee(alice, carol, facts)).toBe(true);
    expect(reaches(alice, carol, facts)).toBe(false);
  });

  it('of another server is told as their server is, which asks them', () => {
    expect(reached(bob, { allowed: [bob] })).toBe(true);
    expect(reached(bob, { allowed: ['@b*'] })).toBe(false);
  });

  it('of another server is one of the first twenty servers that the list names', () => {
    const others = Array.from({ length: 25 }, (_, index) => `@x:${index}.test`);
    const allowed = [carol, ...others, '@y:0.test', bob];
    const rules = compileRules([parse(allowed)], new Set());
    expect(strangerServersOf(rules, 'a.test' as ServerName)).toEqual(
      Array.from({ length: 20 }, (_, index) => `${index}.test`),
    );
    expect(reached('@x:19.test' as UserId, { allowed })).toBe(true);
    expect(reached('@y:0.test' as UserId, { allowed })).toBe(true);
    expect(reached('@x:20.test' as UserId, { allowed })).toBe(false);
    expect(reached(bob, { allowed })).toBe(false);
  });

  it('has to be named by both of two documents, and else takes nobody else a place', () => {
    const rules = compileRules([parse(['@x:c.test', bob]), parse([bob, '@y:d.test'])], new Set());
    expect(strangerServersOf(rules, 'a.test' as ServerName)).toEqual(['b.test']);
  });

  it('is no part of a whole server, so their server gets a list', () => {
    const facts = (shared: string[]) =>
      factsOf(
        new Map([
          [alice, ['!a']],
          [bob, shared],
        ]),
        { config: parse([bob]) },
      );
    expect(sharesWithWholeServer(alice, 'b.test' as ServerName, facts([]))).toBe(false);
    expect(sharesWithWholeServer(alice, 'b.test' as ServerName, facts(['!a']))).toBe(true);
  });
});

describe("the administrator's", () => {
  const shared = new Map([
    [alice as string, ['!a', '!b']],
    [bob as string, ['!a', '!b']],
  ]);

  function factsUnder(
    own: SharingConfig[],
    administrator: { fallback?: SharingConfig; override?: SharingConfig },
    more: {
      rooms?: ReadonlyMap<string, readonly string[]>;
      excluded?: readonly string[];
      ignored?: readonly string[];
    } = {},
  ): PolicyFacts {
    const { fallback = null, override = null } = administrator;
    const rules = compileRules(own, new Set((more.ignored ?? []) as UserId[]), { fallback, override });
    const rooms = more.rooms ?? shared;
    return createFacts({
      roomsOf: (user) => new Set((rooms.get(user) ?? []) as RoomId[]),
      counts: (room) => !(more.excluded ?? []).includes(room),
      rulesOf: () => rules,
    });
  }

  it('default is for users without a config; an empty one opts out of it', () => {
    const fallback = parse([], ['@*']);
    expect(maySee(alice, bob, factsUnder([], { fallback }))).toBe(false);
    expect(maySee(alice, bob, factsUnder([parse()], { fallback }))).toBe(true);
    expect(maySee(alice, alice, factsUnder([], { fallback }))).toBe(true);
  });

  it('default asks the ignore list as a config of the user would', () => {
    const fallback = parse(['@b*']);
    expect(maySee(alice, bob, factsUnder([], { fallback }))).toBe(true);
    expect(maySee(alice, bob, factsUnder([], { fallback }, { ignored: [bob] }))).toBe(false);
  });

  const overrides: [string, string[], string[], boolean][] = [
    ['that says nothing has no objection', [], [], true],
    ['that denies by name', [], [bob], false],
    ['that denies by glob', [], ['@*:b.test'], false],
    ['that denies everybody', [], ['@*'], false],
    ['that denies everybody but some', ['@*:b.test'], ['@*'], true],
    ['that denies everybody but a room', ['!a'], ['@*'], true],
    ['that allows by name has no objection', [bob], ['@*', '!a', '!b'], true],
    ['that denies one of the shared rooms', [], ['!a'], true],
    ['that denies every shared room', [], ['!a', '!b'], false],
  ];

  it.each(overrides)('override %s', (_, allowed, denied, sees) => {
    const facts = factsUnder([], { override: parse(allowed, denied) });
    expect(maySee(alice, bob, facts)).toBe(sees);
    expect(maySee(alice, alice, facts)).toBe(true);
  });

  it('override lets in nobody whom the user does not', () => {
    const override = parse([bob]);
    expect(maySee(alice, bob, factsUnder([parse([], [bob])], { override }))).toBe(false);
    expect(maySee(alice, bob, factsUnder([], { override }, { ignored: [bob] }))).toBe(false);
  });

  it('override does not ask the ignore list', () => {
    const facts = factsUnder([parse([bob])], { override: parse() }, { ignored: [bob] });
    expect(maySee(alice, bob, facts)).toBe(true);
  });

  it('override leaves a stranger to the user, unless an entry of its own speaks of them', () => {
    const apart = { rooms: new Map([[alice as string, ['!a']]]) };
    const own = [parse([bob])];
    expect(maySee(alice, bob, factsUnder(own, { override: parse([], ['!a']) }, apart))).toBe(true);
    expect(maySee(alice, bob, factsUnder(own, { override: parse([], ['@*']) }, apart))).toBe(false);
    expect(maySee(alice, bob, factsUnder(own, { override: parse([], [bob]) }, apart))).toBe(false);
  });

  it('override objects by rooms only where a room counts', () => {
    const override = parse([], ['!a']);
    const facts = factsUnder([parse([bob])], { override }, { excluded: ['!a', '!b'] });
    expect(findObjection({ subject: alice, viewer: bob, override }, facts)).toBeUndefined();
    expect(maySee(alice, bob, facts)).toBe(true);
  });

  it.each([
    ['denies one of its users', ['@x:b.test'], false],
    ['denies a room of hers', ['!a'], false],
    ['denies a room that she is not in', ['!z'], true],
    ['denies a glob that may match', ['@x*'], false],
    ['denies a user of another server', ['@x:c.test'], true],
  ])('override that %s decides whether it is a whole server', (_, denied, whole) => {
    const facts = factsUnder([], { override: parse([], denied) });
    expect(sharesWithWholeServer(alice, 'b.test' as ServerName, facts)).toBe(whole);
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
    if (allowed.includes(viewer)) return true;
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

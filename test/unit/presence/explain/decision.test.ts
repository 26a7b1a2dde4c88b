import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RoomId, UserId } from '../../../../src/matrix/ids.ts';
import type { ServerName } from '../../../../src/matrix/server-name.ts';
import { createFacts, type Ground } from '../../../../src/presence/core/facts.ts';
import { explainPair, explainWholeServer } from '../../../../src/presence/explain/decision.ts';
import { maySee, sharesWithWholeServer } from '../../../../src/presence/policy.ts';
import { parseSharingConfig, type SharingConfig } from '../../../../src/presence/sharing-config.ts';
import { compileRules, type SharingRules, unreadableRules } from '../../../../src/presence/sharing-rules.ts';
import { propertyRuns } from '../../../support/property-runs.ts';

const alice = '@alice:a.test' as UserId;
const bob = '@bob:b.test' as UserId;

function parse(allowed: readonly string[] = [], denied: readonly string[] = []): SharingConfig {
  const parsed = parseSharingConfig({ allowed_users: [...allowed], denied_users: [...denied] });
  if (parsed.outcome === 'bad') throw new Error(parsed.problem);
  return parsed.config;
}

function basisOf(rules: SharingRules, { shared = ['!a'], excluded = [] as string[] } = {}) {
  const ground: Ground = {
    roomsOf: (user) => new Set([...shared, user === alice ? '!hers' : '!his'] as RoomId[]),
    counts: (room) => !excluded.includes(room),
    rulesOf: () => rules,
  };
  return { ground, facts: createFacts(ground) };
}

const none: ReadonlySet<UserId> = new Set();

describe('the reason', () => {
  const table: [string, string[], string[], object][] = [
    ['a name that is allowed', [bob], ['@*'], { sees: true, step: 2, list: 'allowed_users', entry: bob }],
    ['a name that is denied', ['@b*'], [bob], { sees: false, step: 3, list: 'denied_users', entry: bob }],
    ['a glob that is allowed', ['@x*', '@b*'], ['@*'], { sees: true, step: 4, list: 'allowed_users', entry: '@b*' }],
    ['a glob that is denied', [], ['@x*', '@?ob:*'], { sees: false, step: 5, list: 'denied_users', entry: '@?ob:*' }],
    ['a room that is allowed', ['!z', '!a'], ['@*'], { sees: true, step: 6, list: 'allowed_users', entry: '!a' }],
    ['a catch-all', ['!hers'], ['@**:*'], { sees: false, step: 7, list: 'denied_users', entry: '@**:*' }],
    ['a shared room', [], [], { sees: true, step: 8, list: null, entry: '!a' }],
    ['denied rooms', [], ['!a'], { sees: false, step: 9, list: 'denied_users', entry: '!a' }],
  ];

  it.each(table)('is %s', (_, allowed, denied, reason) => {
    const basis = basisOf(compileRules([parse(allowed, denied)], none));
    expect(explainPair({ subject: alice, viewer: bob }, basis)).toEqual({ config: 'own', ...reason });
  });

  it('is that no room is shared which counts', () => {
    const rules = compileRules([], none);
    const expected = { sees: false, step: 9, config: 'default', list: null, entry: null };
    for (const where of [{ shared: [] }, { excluded: ['!a'] }])
      expect(explainPair({ subject: alice, viewer: bob }, basisOf(rules, where))).toEqual(expected);
  });

  it('is the ignore list, before a name that is denied', () => {
    const basis = basisOf(compileRules([parse([], [bob])], new Set([bob])));
    expect(explainPair({ subject: alice, viewer: bob }, basis)).toMatchObject({ step: 3, list: 'ignored_users' });
  });

  it("is the administrator's default or override, where that decided", () => {
    const fallback = parse([], ['@b*']);
    const override = parse([], ['@*']);
    const byDefault = basisOf(compileRules([], none, { fallback, override: null }));
    const byOverride = basisOf(compileRules([parse()], none, { fallback: null, override }));
    const pair = { subject: alice, viewer: bob };
    expect(explainPair(pair, byDefault)).toMatchObject({ sees: false, step: 5, config: 'default' });
    expect(explainPair(pair, byOverride)).toMatchObject({ sees: false, step: 7, config: 'override' });
  });

  it('is that nothing can be read', () => {
    expect(explainPair({ subject: alice, viewer: bob }, basisOf(unreadableRules(null)))).toMatchObject({
      sees: false,
      step: null,
    });
  });

  it('for a whole server is the glob that covers it, the allowed rooms, or that nothing denies', () => {
    const server = 'b.test' as ServerName;
    const of = (allowed: string[], denied: string[]) => {
      const basis = basisOf(compileRules([parse(allowed, denied)], none));
      expect(sharesWithWholeServer(alice, server, basis.facts)).toBe(true);
      return explainWholeServer(alice, server, basis);
    };
    expect(of(['@*:b.test'], ['@*'])).toMatchObject({ step: 4, entry: '@*:b.test' });
    expect(of(['!a', '!hers'], ['@*'])).toMatchObject({ step: 6, entry: null });
    expect(of([], [])).toMatchObject({ step: 8, entry: null });
  });
});

describe('whatever the lists say', () => {
  const users = ['@a:x.test', '@b:x.test', '@ab:y.test'];
  const entry = fc.constantFrom(...users, '@*', '@a*', '@*:x.test', '!1', '!2', '!3');
  const list = fc.array(entry, { maxLength: 4 });
  const rooms = fc.subarray(['!1', '!2', '!3']);

  it('the reason is given for what the policy decides, and is an entry of the list that it names', () => {
    fc.assert(
      fc.property(
        fc.record({ allowed: list, denied: list, over: fc.tuple(list, list), ignored: fc.subarray(users) }),
        fc.record({ hers: rooms, his: rooms, excluded: rooms }),
        fc.constantFrom(...users),
        ({ allowed, denied, over, ignored }, { hers, his, excluded }, viewer) => {
          const override = parse(...over);
          const rules = compileRules([parse(allowed, denied)], new Set(ignored as UserId[]), {
            fallback: null,
            override,
          });
          const ground: Ground = {
            roomsOf: (user) => new Set((user === alice ? hers : his) as RoomId[]),
            counts: (room) => !excluded.includes(room),
            rulesOf: () => rules,
          };
          const facts = createFacts(ground);
          const pair = { subject: alice, viewer: viewer as UserId };
          const decision = explainPair(pair, { ground, facts });
          expect(decision.sees).toBe(maySee(alice, pair.viewer, facts));
          if (decision.list === null || decision.list === 'ignored_users') return;
          const lists = decision.config === 'override' ? over : ([allowed, denied] as const);
          expect(lists[decision.list === 'allowed_users' ? 0 : 1]).toContain(decision.entry);
        },
      ),
      { numRuns: propertyRuns(300) },
    );
  });
});

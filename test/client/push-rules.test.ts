import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { TestServer } from '../support/server.ts';
import type { TestUser } from '../support/user.ts';
import { encode, type Json, newUser, poll, query, refusal } from './rooms-support.ts';

let server: TestServer;
let alice: TestUser;

beforeAll(async () => {
  server = await TestServer.start({ config: { presence: { enabled: false } } });
});
afterAll(() => server.stop());
beforeEach(async () => {
  alice = await newUser(server, 'alice');
});

const path = (kind: string, ruleId: string, more = ''): string => `/pushrules/global/${kind}/${encode(ruleId)}${more}`;
const put = (kind: string, ruleId: string, body: unknown, more = '') =>
  alice.call('PUT', path(kind, ruleId, more), body);
const rulesOf = async (kind: string): Promise<Json[]> => (await alice.ok('GET', '/pushrules/')).global[kind];
const ownIds = async (kind: string): Promise<string[]> =>
  (await rulesOf(kind)).filter((rule) => !rule.default).map((rule) => rule.rule_id);
const inSync = (body: Json): Json[] =>
  (body.account_data?.events ?? []).filter((event: Json) => event.type === 'm.push_rules');

describe('push rules', () => {
  it('are those of the specification to begin with, alike under every path', async () => {
    const { global } = await alice.ok('GET', '/pushrules/');
    expect(Object.keys(global).sort()).toEqual(['content', 'override', 'room', 'sender', 'underride']);
    expect(global.override[0]).toEqual({
      rule_id: '.m.rule.master',
      default: true,
      enabled: false,
      conditions: [],
      actions: [],
    });
    expect(await alice.ok('GET', '/pushrules/global/')).toEqual(global);
    expect(await alice.ok('GET', '/_matrix/client/r0/pushrules/')).toEqual({ global });
    expect(await alice.ok('GET', path('underride', '.m.rule.message'))).toEqual(global.underride[3]);
    expect(await alice.ok('GET', `/user/${alice.userId}/account_data/m.push_rules`)).toEqual({ global });
  });

  it('are written, read, changed and removed by kind and id', async () => {
    const conditions = [
      { kind: 'event_match', key: 'content.body', pattern: 'cake' },
      { kind: 'org.example.own', x: 1 },
    ];
    const tweak = { set_tweak: 'sound', value: 'cake.wav', 'org.example.more': true };
    await put('override', 'cake', { conditions, actions: ['notify', tweak] });
    await put('content', 'lie', { pattern: 'l?e*', actions: [] });
    await put('room', '!r:a.test', { actions: ['dont_notify'] });
    await put('sender', alice.userId, { actions: [], pattern: 'not here', conditions: [{ kind: 'x' }] });

    const rule = { default: false, enabled: true };
    expect(await alice.ok('GET', path('override', 'cake'))).toEqual({
      ...rule,
      rule_id: 'cake',
      conditions,
      actions: ['notify', tweak],
    });
    expect(await rulesOf('content')).toEqual([{ ...rule, rule_id: 'lie', pattern: 'l?e*', actions: [] }]);
    expect(await rulesOf('room')).toEqual([{ ...rule, rule_id: '!r:a.test', actions: ['dont_notify'] }]);
    expect(await rulesOf('sender')).toEqual([{ ...rule, rule_id: alice.userId, actions: [] }]);

    expect(await alice.ok('PUT', path('content', 'lie', '/enabled'), { enabled: false })).toEqual({});
    expect(await alice.ok('GET', path('content', 'lie', '/enabled'))).toEqual({ enabled: false });
    expect(await alice.ok('PUT', path('content', 'lie', '/actions'), { actions: ['notify'] })).toEqual({});
    expect(await alice.ok('GET', path('content', 'lie', '/actions'))).toEqual({ actions: ['notify'] });
    expect(await alice.ok('DELETE', path('content', 'lie'))).toEqual({});
    expect(await rulesOf('content')).toEqual([]);
  });

  it('stand in the order that before and after give them', async () => {
    for (const [ruleId, more] of [
      ['a', ''],
      ['b', ''],
      ['c', query({ after: 'b' })],
      ['d', query({ before: 'a' })],
      ['e', query({ before: 'c', after: 'a' })],
    ] as const) {
      expect((await put('sender', ruleId, { actions: [] }, more)).status).toBe(200);
    }
    expect(await ownIds('sender')).toEqual(['b', 'e', 'c', 'd', 'a']);
  });

  it('that the server brought can be switched and given other actions, but not removed or replaced', async () => {
    const ruleId = '.m.rule.message';
    await alice.ok('PUT', path('underride', ruleId, '/enabled'), { enabled: false });
    await alice.ok('PUT', path('underride', ruleId, '/actions'), { actions: [] });
    expect(await alice.ok('GET', path('underride', ruleId))).toMatchObject({
      enabled: false,
      actions: [],
      default: true,
    });
    expect(refusal(await alice.call('DELETE', path('underride', ruleId)))).toEqual([404, 'M_NOT_FOUND']);
    expect(refusal(await put('underride', ruleId, { actions: [] }))).toEqual([400, 'M_INVALID_PARAM']);
  });

  it('are each user’s own', async () => {
    const bob = await newUser(server, 'bob');
    await put('room', '!r:a.test', { actions: [] });
    expect((await bob.ok('GET', '/pushrules/')).global.room).toEqual([]);
    expect(refusal(await bob.call('GET', path('room', '!r:a.test')))).toEqual([404, 'M_NOT_FOUND']);
  });

  it('lose no change when many are made at once', async () => {
    const ids = ['a', 'b', 'c', 'd'];
    const answers = await Promise.all(ids.map((id) => put('sender', id, { actions: [] })));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    expect((await ownIds('sender')).sort()).toEqual(ids);
  });

  it.each([
    ['GET', '/pushrules/global/nonsense/x', 404, 'M_NOT_FOUND'],
    ['PUT', '/pushrules/global/nonsense/x', 404, 'M_NOT_FOUND'],
    ['GET', '/pushrules/global/room/x', 404, 'M_NOT_FOUND'],
    ['GET', '/pushrules/global/room/x/enabled', 404, 'M_NOT_FOUND'],
    ['GET', '/pushrules/global/room/x/actions', 404, 'M_NOT_FOUND'],
    ['PUT', '/pushrules/global/room/x/enabled', 404, 'M_NOT_FOUND'],
    ['PUT', '/pushrules/global/room/x/actions', 404, 'M_NOT_FOUND'],
    ['DELETE', '/pushrules/global/room/x', 404, 'M_NOT_FOUND'],
    ['GET', '/pushrules/device/room/x', 404, 'M_UNRECOGNIZED'],
    ['GET', '/pushrules/device/', 404, 'M_UNRECOGNIZED'],
    ['GET', '/pushrules/global/room/x/nonsense', 404, 'M_UNRECOGNIZED'],
    ['GET', '/pushrules/global/room/', 404, 'M_UNRECOGNIZED'],
    ['PUT', '/pushrules/global/room/a%2Fb', 400, 'M_INVALID_PARAM'],
    ['PUT', '/pushrules/global/room/a%5Cb', 400, 'M_INVALID_PARAM'],
    ['PUT', '/pushrules/global/room/.a', 400, 'M_INVALID_PARAM'],
    ['PUT', '/pushrules/global/room/a?before=x', 400, 'M_UNKNOWN'],
    ['PUT', '/pushrules/global/override/a?after=.m.rule.master', 400, 'M_UNKNOWN'],
  ])('refuse %s %s', async (method, path, status, errcode) => {
    const body = method === 'PUT' ? { actions: [], enabled: true } : undefined;
    expect(refusal(await alice.call(method, path, body))).toEqual([status, errcode]);
    expect(inSync(await alice.sync())[0].content).toEqual(await alice.ok('GET', '/pushrules/'));
  });

  it.each([
    ['no actions', 'room', {}, 'M_MISSING_PARAM'],
    ['actions that are no list', 'room', { actions: 'notify' }, 'M_BAD_JSON'],
    ['an unknown action', 'room', { actions: ['shout'] }, 'M_BAD_JSON'],
    ['a tweak without a name', 'room', { actions: [{ value: 1 }] }, 'M_BAD_JSON'],
    ['no pattern', 'content', { actions: [] }, 'M_MISSING_PARAM'],
    ['a pattern that is no text', 'content', { actions: [], pattern: 7 }, 'M_BAD_JSON'],
    ['a pattern too long', 'content', { actions: [], pattern: 'x'.repeat(256) }, 'M_BAD_JSON'],
    [
      'a condition with a pattern too long',
      'override',
      { actions: [], conditions: [{ kind: 'event_match', key: 'type', pattern: 'x'.repeat(256) }] },
      'M_BAD_JSON',
    ],
    ['a condition without a kind', 'override', { actions: [], conditions: [{}] }, 'M_BAD_JSON'],
    ['conditions that are no list', 'underride', { actions: [], conditions: {} }, 'M_BAD_JSON'],
  ])('refuse a rule with %s, and nothing is written', async (_, kind, body, errcode) => {
    expect(refusal(await put(kind, 'x', body))).toEqual([400, errcode]);
    expect(await ownIds(kind)).toEqual([]);
  });

  it('come to no more than a document that /sync can carry', async () => {
    const large = { pattern: 'x', actions: [{ set_tweak: 'sound', value: 'x'.repeat(60_000) }] };
    for (const id of ['a', 'b', 'c', 'd']) expect((await put('content', id, large)).status).toBe(200);
    expect(refusal(await put('content', 'e', large))).toEqual([413, 'M_TOO_LARGE']);
    expect(await ownIds('content')).toEqual(['d', 'c', 'b', 'a']);
  });
});

describe('push rules in /sync', () => {
  it('come down the first one, changed or not, where the filter takes them', async () => {
    const rules = await alice.ok('GET', '/pushrules/');
    expect(inSync(await alice.sync())).toEqual([{ type: 'm.push_rules', content: rules }]);
    const without = await alice.ok(
      'GET',
      `/sync${query({ filter: '{"account_data":{"not_types":["m.push_rules"]}}' })}`,
    );
    expect(inSync(without)).toEqual([]);
    expect(inSync(await alice.sync())).toEqual([]);
  });

  it('wake a long-poll with each change, whole', async () => {
    await alice.sync();
    const changes = [
      () => put('room', '!r:a.test', { actions: ['notify'] }),
      () => alice.ok('PUT', path('room', '!r:a.test', '/enabled'), { enabled: false }),
      () => alice.ok('PUT', path('room', '!r:a.test', '/actions'), { actions: [] }),
      () => alice.ok('DELETE', path('room', '!r:a.test')),
    ];
    for (const change of changes) {
      const { answer } = await poll(server, alice);
      await change();
      const [event, ...more] = inSync(await answer);
      expect([event.content, more]).toEqual([await alice.ok('GET', '/pushrules/'), []]);
    }
    expect(inSync(await alice.ok('GET', '/sync'))).toHaveLength(1);
  });
});

import { z } from 'zod';
import { invalidParam, missingParam, notFound } from '../../../matrix/errors.ts';
import { type PushAction, type PushRuleKind, pushRuleKinds } from '../../../matrix/push-rules.ts';
import type { PushRuleKey, PushRules } from '../../../push/rules.ts';
import type { RuleWish } from '../../../push/ruleset.ts';
import { clientPath, type Requester, type Route, userRoute } from '../../route.ts';
import { jsonObject, optional, shortText } from '../../shapes.ts';

export interface PushRuleRoutesDeps {
  readonly pushRules: PushRules;
}

const rulePath = '/pushrules/global/:kind/:ruleId';
const params = z.object({ kind: z.string(), ruleId: z.string().min(1).max(255) });
type Params = z.infer<typeof params>;

/** The words without parameters that an action may be; all but the first are historical and mean nothing. */
const plainActions: ReadonlySet<unknown> = new Set(['notify', 'dont_notify', 'coalesce']);
const listMax = 100;

const action = z.custom<PushAction>(
  (value) => plainActions.has(value) || isTweak(value),
  'is neither "notify" nor a tweak',
);
const actions = z.array(action).max(listMax);
/** What it takes to match a pattern grows with its length, and messages may be long. */
const condition = jsonObject
  .refine(({ kind }) => typeof kind === 'string', 'is a condition without a kind')
  .refine(
    ({ pattern }) => typeof pattern !== 'string' || pattern.length <= 255,
    'has a pattern of over 255 characters',
  );
const ruleBody = z.object({
  actions,
  conditions: optional(z.array(condition).max(listMax)),
  pattern: optional(shortText),
});
const bodyBytesMax = 64 * 1024;

/** Client-server API, "Push Rules: API". */
export function pushRuleRoutes({ pushRules }: PushRuleRoutesDeps): Route[] {
  return [
    userRoute({
      method: 'GET',
      path: clientPath('/pushrules/'),
      handle: async ({ requester }) => ({ global: await pushRules.getAll(requester.userId) }),
    }),
    userRoute({
      method: 'GET',
      path: clientPath('/pushrules/global/'),
      handle: ({ requester }) => pushRules.getAll(requester.userId),
    }),
    userRoute({
      method: 'GET',
      path: clientPath(rulePath),
      params,
      handle: ({ requester, params }) => pushRules.get(keyOf(requester, params)),
    }),
    userRoute({
      method: 'PUT',
      path: clientPath(rulePath),
      params,
      query: z.object({ before: z.string().optional(), after: z.string().optional() }),
      body: ruleBody,
      bodyBytesMax,
      handle: async ({ requester, params, query, body }) => {
        const kind = kindOf(params);
        const wish = wishOf(kind, params.ruleId, body);
        await pushRules.put(requester.userId, kind, wish, { before: query.before, after: query.after });
        return {};
      },
    }),
    userRoute({
      method: 'DELETE',
      path: clientPath(rulePath),
      params,
      handle: async ({ requester, params }) => {
        await pushRules.remove(keyOf(requester, params));
        return {};
      },
    }),
    ...attributeRoutes(pushRules),
  ];
}

function attributeRoutes(pushRules: PushRules): Route[] {
  const enabledPath = clientPath(`${rulePath}/enabled`);
  const actionsPath = clientPath(`${rulePath}/actions`);
  return [
    userRoute({
      method: 'GET',
      path: enabledPath,
      params,
      handle: async ({ requester, params }) => ({ enabled: (await pushRules.get(keyOf(requester, params))).enabled }),
    }),
    userRoute({
      method: 'PUT',
      path: enabledPath,
      params,
      body: z.object({ enabled: z.boolean() }),
      handle: async ({ requester, params, body }) => {
        await pushRules.change(keyOf(requester, params), { enabled: body.enabled });
        return {};
      },
    }),
    userRoute({
      method: 'GET',
      path: actionsPath,
      params,
      handle: async ({ requester, params }) => ({ actions: (await pushRules.get(keyOf(requester, params))).actions }),
    }),
    userRoute({
      method: 'PUT',
      path: actionsPath,
      params,
      body: z.object({ actions }),
      bodyBytesMax,
      handle: async ({ requester, params, body }) => {
        await pushRules.change(keyOf(requester, params), { actions: body.actions });
        return {};
      },
    }),
  ];
}

function isTweak(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'set_tweak' in value && typeof value.set_tweak === 'string';
}

function keyOf({ userId }: Requester, params: Params): PushRuleKey {
  return { userId, kind: kindOf(params), ruleId: params.ruleId };
}

function kindOf({ kind }: Params): PushRuleKind {
  const known = pushRuleKinds.find((name) => name === kind);
  if (known === undefined) throw notFound('There is no such kind of push rules');
  return known;
}

/** "`conditions` … Only applicable to `underride` and `override` rules", "`pattern` … Only applicable to `content` rules". */
function wishOf(kind: PushRuleKind, ruleId: string, body: z.infer<typeof ruleBody>): RuleWish {
  if (ruleId.startsWith('.')) throw invalidParam('A rule id that begins with a dot is reserved for the server');
  if (/[/\\]/.test(ruleId)) throw invalidParam('A rule id may hold neither a slash nor a backslash');
  const rule = { rule_id: ruleId, actions: body.actions };
  switch (kind) {
    case 'override':
    case 'underride':
      return { ...rule, conditions: body.conditions ?? [] };
    case 'content':
      if (body.pattern === undefined) throw missingParam("'pattern' is required");
      return { ...rule, pattern: body.pattern };
    case 'room':
    case 'sender':
      return rule;
  }
}

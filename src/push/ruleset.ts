import { notFound, tooLarge, unknown } from '../matrix/errors.ts';
import type { UserId } from '../matrix/ids.ts';
import type { JsonObject } from '../matrix/pdu.ts';
import {
  defaultPushRules,
  masterRuleId,
  type PushAction,
  type PushRule,
  type PushRuleKind,
  type PushRuleset,
  pushRuleKinds,
} from '../matrix/push-rules.ts';

/** What differs from the default rules: this is stored, so that a default that changes in the specification changes for all. */
export interface OwnPushRules {
  /** The user's own rules, the most important of each kind first. */
  readonly rules: PushRuleset;
  /** Changes of default rules, by rule id. */
  readonly defaults: Readonly<Record<string, DefaultChange>>;
}

interface DefaultChange {
  readonly enabled?: boolean;
  readonly actions?: readonly PushAction[];
}

/** Where a rule goes among the user's own; `before` wins when both are given. */
export interface RulePlace {
  /** Next more important than this rule. */
  readonly before: string | undefined;
  /** Next less important than this rule. */
  readonly after: string | undefined;
}

/** What a client says of a rule. */
export type RuleWish = Pick<PushRule, 'rule_id' | 'actions' | 'conditions' | 'pattern'>;

const noRules: PushRuleset = { override: [], content: [], room: [], sender: [], underride: [] };
const rulesMax = 1_000;

/** What was stored, which only this file wrote; undefined: nothing yet. */
export function parseOwnRules(content: JsonObject | undefined): OwnPushRules {
  return content === undefined ? { rules: noRules, defaults: {} } : (content as unknown as OwnPushRules);
}

export function encodeOwnRules(own: OwnPushRules): JsonObject {
  return { rules: own.rules, defaults: own.defaults };
}

/**
 * All rules of a user, the most important of each kind first: their own stand above the defaults, but for `.m.rule.master`, which
 * "has always a higher priority than any other rule".
 */
export function rulesetOf(userId: UserId, own: OwnPushRules): PushRuleset {
  const defaults = defaultPushRules(userId);
  const ofKind = (kind: PushRuleKind): PushRule[] => {
    const changed = defaults[kind].map((rule) => ({ ...rule, ...own.defaults[rule.rule_id] }));
    const isFirst = ({ rule_id: ruleId }: PushRule): boolean => ruleId === masterRuleId;
    return [...changed.filter(isFirst), ...own.rules[kind], ...changed.filter((rule) => !isFirst(rule))];
  };
  return {
    override: ofKind('override'),
    content: ofKind('content'),
    room: ofKind('room'),
    sender: ofKind('sender'),
    underride: ofKind('underride'),
  };
}

/** Throws M_NOT_FOUND. */
export function getRule(ruleset: PushRuleset, kind: PushRuleKind, ruleId: string): PushRule {
  const found = ruleset[kind].find((rule) => rule.rule_id === ruleId);
  if (!found) throw notFound('The push rule was not found');
  return found;
}

/**
 * With a rule added, "enabled by default" and "as the most important user defined rule among rules of the same kind" unless
 * `place` says otherwise; or changed, and moved only where `place` asks for it. Throws M_UNKNOWN where the place is none.
 */
export function withRule(own: OwnPushRules, kind: PushRuleKind, wish: RuleWish, place: RulePlace): OwnPushRules {
  const before = own.rules[kind];
  const known = before.findIndex((rule) => rule.rule_id === wish.rule_id);
  const rule: PushRule = { ...wish, default: false, enabled: before[known]?.enabled ?? true };
  if (known === -1 && countRules(own) >= rulesMax) throw tooLarge(`There are ${rulesMax} push rules already`);
  const others = before.filter(({ rule_id: ruleId }) => ruleId !== wish.rule_id);
  const index = findPlace(others, place) ?? (known === -1 ? 0 : known);
  return withRules(own, kind, others.toSpliced(index, 0, rule));
}

function findPlace(rules: readonly PushRule[], { before, after }: RulePlace): number | undefined {
  const neighbour = before ?? after;
  if (neighbour === undefined) return undefined;
  const index = rules.findIndex(({ rule_id: ruleId }) => ruleId === neighbour);
  if (index === -1) throw unknown(`before/after rule not found: ${neighbour}`);
  return before === undefined ? index + 1 : index;
}

/** Without one of the user's own rules. Throws M_NOT_FOUND; the default ones stay. */
export function withoutRule(own: OwnPushRules, kind: PushRuleKind, ruleId: string): OwnPushRules {
  getRule(own.rules, kind, ruleId);
  return withRules(
    own,
    kind,
    own.rules[kind].filter((rule) => rule.rule_id !== ruleId),
  );
}

/** With a rule, maybe a default one, enabled or disabled, or with other actions. Throws M_NOT_FOUND. */
export function withChange(
  own: OwnPushRules,
  { userId, kind, ruleId }: { userId: UserId; kind: PushRuleKind; ruleId: string },
  change: DefaultChange,
): OwnPushRules {
  const rule = getRule(rulesetOf(userId, own), kind, ruleId);
  if (rule.default) {
    return { ...own, defaults: { ...own.defaults, [ruleId]: { ...own.defaults[ruleId], ...change } } };
  }
  return withRules(
    own,
    kind,
    own.rules[kind].map((other) => (other.rule_id === ruleId ? { ...other, ...change } : other)),
  );
}

function withRules(own: OwnPushRules, kind: PushRuleKind, rules: readonly PushRule[]): OwnPushRules {
  return { ...own, rules: { ...own.rules, [kind]: rules } };
}

function countRules(own: OwnPushRules): number {
  return pushRuleKinds.reduce((count, kind) => count + own.rules[kind].length, 0);
}

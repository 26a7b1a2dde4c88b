import { compileGlob } from '../base/glob.ts';
import type { JsonObject } from '../matrix/pdu.ts';
import {
  type PushAction,
  type PushRule,
  type PushRuleKind,
  type PushRuleset,
  pushRuleKinds,
} from '../matrix/push-rules.ts';
import type { AskedEvent, Path } from './asked-event.ts';
import { compileWord, compileWordGlob } from './word-glob.ts';

/** What rules can ask about an event, and of whoever is to be notified. */
export interface PushedEvent {
  readonly event: AskedEvent;
  /** How many are joined to the room. */
  readonly memberCount: number;
  /** What the owner of the rules is called in the room; null: nothing. */
  readonly displayName: string | null;
  /** Whether the sender has the power to notify in this way, such as `room`. */
  readonly senderMayNotify: (key: string) => boolean;
}

/** The actions of the first rule that matches; none where no rule does. */
export type Evaluate = (pushed: PushedEvent) => readonly PushAction[];

type Condition = (pushed: PushedEvent) => boolean;

const never: Condition = () => false;

/**
 * The rules of one user, ready to be asked about many events (client-server API, "Push Rules"). Pure. "Disabled rules never match",
 * "Unrecognised conditions MUST NOT match any events". Events of the user's own are the caller's matter: nobody is notified of those.
 */
export function compilePushRules(ruleset: PushRuleset): Evaluate {
  const rules = pushRuleKinds.flatMap((kind) =>
    ruleset[kind]
      .filter((rule) => rule.enabled)
      .map((rule) => ({ matches: compileRule(kind, rule), actions: rule.actions })),
  );
  return (pushed) => rules.find(({ matches }) => matches(pushed))?.actions ?? [];
}

/** Whether actions notify, and whether what they notify of is to be set off from the rest. */
export function verdictOf(actions: readonly PushAction[]): { notifies: boolean; highlights: boolean } {
  const notifies = actions.includes('notify');
  const tweak = actions.find(
    (action): action is JsonObject => typeof action === 'object' && action.set_tweak === 'highlight',
  );
  // "If a `highlight` tweak is given with no value, its value is defined to be `true`."
  return { notifies, highlights: notifies && tweak !== undefined && tweak.value !== false };
}

function compileRule(kind: PushRuleKind, rule: PushRule): Condition {
  switch (kind) {
    case 'override':
    case 'underride': {
      const conditions = (rule.conditions ?? []).map(compileCondition);
      return (pushed) => conditions.every((condition) => condition(pushed));
    }
    case 'content':
      return typeof rule.pattern === 'string' ? matchBody(rule.pattern) : never;
    case 'room':
      return ({ event }) => event.read(['room_id']) === rule.rule_id;
    case 'sender':
      return ({ event }) => event.read(['sender']) === rule.rule_id;
  }
}

function compileCondition(condition: JsonObject): Condition {
  const { kind, key, pattern, value, is } = condition;
  switch (kind) {
    case 'event_match':
      return typeof key === 'string' && typeof pattern === 'string' ? matchText(key, pattern) : never;
    case 'event_property_is':
      return typeof key === 'string' && isSimple(value) ? isValue(key, value) : never;
    case 'event_property_contains':
      return typeof key === 'string' && isSimple(value) ? contains(key, value) : never;
    case 'contains_display_name':
      return containsDisplayName;
    case 'room_member_count':
      return typeof is === 'string' ? compareMembers(is) : never;
    case 'sender_notification_permission':
      return typeof key === 'string' ? ({ senderMayNotify }) => senderMayNotify(key) : never;
    default:
      return never;
  }
}

function matchText(key: string, pattern: string): Condition {
  // "As a special case, if `key` is `content.body`", words of it are enough.
  if (key === 'content.body') return matchBody(pattern);
  const path = pathOf(key);
  const matches = compileCaseless(pattern);
  return ({ event }) => {
    const value = event.read(path);
    return typeof value === 'string' && matches(value);
  };
}

function matchBody(pattern: string): Condition {
  const matches = compileWordGlob(pattern);
  return ({ event: { body } }) => body !== null && matches(body);
}

function compileCaseless(pattern: string): (text: string) => boolean {
  const matches = compileGlob(pattern.toLowerCase());
  return (text) => matches(text.toLowerCase());
}

function isValue(key: string, value: unknown): Condition {
  const path = pathOf(key);
  return ({ event }) => event.read(path) === value;
}

function contains(key: string, value: unknown): Condition {
  const path = pathOf(key);
  return ({ event }) => {
    const list = event.read(path);
    return Array.isArray(list) && list.includes(value);
  };
}

function containsDisplayName(pushed: PushedEvent): boolean {
  const { body } = pushed.event;
  if (body === null) return false;
  const { displayName } = pushed;
  return displayName !== null && displayName !== '' && compileWord(displayName)(body);
}

function compareMembers(is: string): Condition {
  const [, operator, digits] = /^(==|<=|>=|<|>)?(\d{1,15})$/.exec(is) ?? [];
  if (digits === undefined) return never;
  const count = Number(digits);
  switch (operator) {
    case '<':
      return ({ memberCount }) => memberCount < count;
    case '>':
      return ({ memberCount }) => memberCount > count;
    case '<=':
      return ({ memberCount }) => memberCount <= count;
    case '>=':
      return ({ memberCount }) => memberCount >= count;
    default:
      return ({ memberCount }) => memberCount === count;
  }
}

/** "only supports non-compound canonical JSON values: strings, integers …, booleans, and `null`". */
function isSimple(value: unknown): boolean {
  return value === null || typeof value === 'string' || typeof value === 'boolean' || Number.isSafeInteger(value);
}

/**
 * The names that a path is made of (appendices, "Dot-separated property paths"): `\.` is a dot and `\\` a backslash within a name,
 * "Other escape sequences are left as-is".
 */
function pathOf(key: string): Path {
  const names = [''];
  for (const [piece] of key.matchAll(/\\[.\\]|[^.]|\./gsu)) {
    const last = names.length - 1;
    if (piece === '.') names.push('');
    else names[last] += piece === '\\.' || piece === '\\\\' ? piece.slice(1) : piece;
  }
  return names;
}

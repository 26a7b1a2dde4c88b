import type { UserId } from './ids.ts';
import type { JsonObject } from './pdu.ts';

/** Kinds of rules in the order in which they are checked (client-server API, "Push Rules"). */
export const pushRuleKinds = ['override', 'content', 'room', 'sender', 'underride'] as const;
export type PushRuleKind = (typeof pushRuleKinds)[number];

/** `notify`, a tweak as `{"set_tweak": …}`, or one of the historical words that mean nothing any more. */
export type PushAction = string | JsonObject;

/** A rule as clients see it. */
export interface PushRule {
  readonly rule_id: string;
  /** Whether the server brought it along. */
  readonly default: boolean;
  readonly enabled: boolean;
  readonly actions: readonly PushAction[];
  /** Of override and underride rules. */
  readonly conditions?: readonly JsonObject[];
  /** Of content rules. */
  readonly pattern?: string;
}

/** The rules of one user, the most important of each kind first. */
export type PushRuleset = Readonly<Record<PushRuleKind, readonly PushRule[]>>;

export const masterRuleId = '.m.rule.master';

/** The account data in which the rules of a user come down `/sync`. */
export const pushRulesType = 'm.push_rules';

const sound = (value: string): JsonObject => ({ set_tweak: 'sound', value });
const highlight: JsonObject = { set_tweak: 'highlight' };

const isType = (pattern: string): JsonObject => match('type', pattern);
const match = (key: string, pattern: string): JsonObject => ({ kind: 'event_match', key, pattern });

function rule(name: string, conditions: readonly JsonObject[], actions: readonly PushAction[]): PushRule {
  return { rule_id: `.m.rule.${name}`, default: true, enabled: true, conditions, actions };
}

/** The rules that every user begins with (client-server API, "Predefined Rules"), in the order of the specification. */
export function defaultPushRules(userId: UserId): PushRuleset {
  return {
    override: [
      { ...rule('master', [], []), enabled: false },
      rule('suppress_notices', [match('content.msgtype', 'm.notice')], []),
      rule(
        'invite_for_me',
        [isType('m.room.member'), match('content.membership', 'invite'), match('state_key', userId)],
        ['notify', sound('default')],
      ),
      rule('member_event', [isType('m.room.member')], []),
      rule(
        'is_user_mention',
        [{ kind: 'event_property_contains', key: 'content.m\\.mentions.user_ids', value: userId }],
        ['notify', sound('default'), highlight],
      ),
      rule(
        'is_room_mention',
        [
          { kind: 'event_property_is', key: 'content.m\\.mentions.room', value: true },
          { kind: 'sender_notification_permission', key: 'room' },
        ],
        ['notify', highlight],
      ),
      rule('tombstone', [isType('m.room.tombstone'), match('state_key', '')], ['notify', highlight]),
      rule('reaction', [isType('m.reaction')], []),
      rule('room.server_acl', [isType('m.room.server_acl'), match('state_key', '')], []),
      rule(
        'suppress_edits',
        [{ kind: 'event_property_is', key: 'content.m\\.relates_to.rel_type', value: 'm.replace' }],
        [],
      ),
    ],
    content: [],
    room: [],
    sender: [],
    underride: [
      rule('call', [isType('m.call.invite')], ['notify', sound('ring')]),
      rule(
        'encrypted_room_one_to_one',
        [{ kind: 'room_member_count', is: '2' }, isType('m.room.encrypted')],
        ['notify', sound('default')],
      ),
      rule(
        'room_one_to_one',
        [{ kind: 'room_member_count', is: '2' }, isType('m.room.message')],
        ['notify', sound('default')],
      ),
      rule('message', [isType('m.room.message')], ['notify']),
      rule('encrypted', [isType('m.room.encrypted')], ['notify']),
    ],
  };
}

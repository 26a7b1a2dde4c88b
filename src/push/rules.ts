import { limitExceeded, tooLarge } from '../matrix/errors.ts';
import type { UserId } from '../matrix/ids.ts';
import type { JsonObject } from '../matrix/pdu.ts';
import {
  type PushAction,
  type PushRule,
  type PushRuleKind,
  type PushRuleset,
  pushRulesType,
} from '../matrix/push-rules.ts';
import type { AccountDataReads } from '../storage/contract/account-data.ts';
import type { Storage } from '../storage/contract/storage.ts';
import {
  encodeOwnRules,
  getRule,
  type OwnPushRules,
  parseOwnRules,
  type RulePlace,
  type RuleWish,
  rulesetOf,
  withChange,
  withoutRule,
  withRule,
} from './ruleset.ts';

/** Names one rule of a user. */
export interface PushRuleKey {
  readonly userId: UserId;
  readonly kind: PushRuleKind;
  readonly ruleId: string;
}

/** Client-server API, "Push Rules: API". */
export interface PushRules {
  getAll(userId: UserId): Promise<PushRuleset>;
  /** Throws M_NOT_FOUND. */
  get(key: PushRuleKey): Promise<PushRule>;
  /** Adds or changes one of the user's own rules. Throws M_UNKNOWN where the rule to stand beside is not there, M_TOO_LARGE. */
  put(userId: UserId, kind: PushRuleKind, rule: RuleWish, place: RulePlace): Promise<void>;
  /** Throws M_NOT_FOUND, also for a default rule. */
  remove(key: PushRuleKey): Promise<void>;
  /** Of any rule. Throws M_NOT_FOUND. */
  change(key: PushRuleKey, change: { enabled: boolean } | { actions: readonly PushAction[] }): Promise<void>;
}

const attemptsMax = 5;
/** They come down `/sync` as one document. */
const storedBytesMax = 256 * 1024;

export function createPushRules(deps: {
  storage: { readonly accountData: AccountDataReads; readonly commit: Storage['commit'] };
}): PushRules {
  const { storage } = deps;

  async function read(userId: UserId): Promise<PushRuleset> {
    const row = await storage.accountData.find(userId, null, pushRulesType);
    return rulesetOf(userId, parseOwnRules(row?.content));
  }

  async function update(userId: UserId, decide: (own: OwnPushRules) => OwnPushRules): Promise<void> {
    const key = { userId, roomId: null, type: pushRulesType };
    for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
      const before = await storage.accountData.find(userId, null, pushRulesType);
      const content = encodeOwnRules(decide(parseOwnRules(before?.content)));
      if (JSON.stringify(content).length > storedBytesMax) throw tooLarge('The push rules are too large together');
      const result = await storage.commit({
        rows: [{ kind: 'account_data', ...key, content }],
        expect: [{ kind: 'account_data_revision', ...key, position: before?.position ?? null }],
      });
      if (result.outcome === 'committed') return;
    }
    throw limitExceeded(1_000);
  }

  return {
    getAll: read,
    get: async ({ userId, kind, ruleId }) => getRule(await read(userId), kind, ruleId),
    put: (userId, kind, rule, place) => update(userId, (own) => withRule(own, kind, rule, place)),
    remove: ({ userId, kind, ruleId }) => update(userId, (own) => withoutRule(own, kind, ruleId)),
    change: (key, change) => update(key.userId, (own) => withChange(own, key, change)),
  };
}

/** What clients see of the account data `m.push_rules`, which holds only what differs from the defaults; undefined: nothing. */
export function presentPushRules(userId: UserId, stored: JsonObject | undefined): JsonObject {
  return { global: rulesetOf(userId, parseOwnRules(stored)) };
}

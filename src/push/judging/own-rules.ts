import { LRUCache } from 'lru-cache';
import type { UserId } from '../../matrix/ids.ts';
import { pushRulesType } from '../../matrix/push-rules.ts';
import type { AccountDataReads } from '../../storage/contract/account-data.ts';
import type { Change } from '../../storage/contract/changes.ts';
import { compilePushRules, type Evaluate } from '../evaluate.ts';
import { parseOwnRules, rulesetOf } from '../ruleset.ts';

const pageSize = 500;
/** Users whose rules are kept ready; those of the others are read and compiled again. */
const compiledMax = 10_000;

/** Who has changed their push rules, and the rules of users, ready to be asked. */
export class OwnRules {
  readonly #accountData: Pick<AccountDataReads, 'listOfType' | 'listOfUsers'>;
  readonly #owners = new Set<UserId>();
  readonly #compiled = new LRUCache<UserId, Evaluate>({ max: compiledMax });
  #changes = 0;

  constructor(accountData: Pick<AccountDataReads, 'listOfType' | 'listOfUsers'>) {
    this.#accountData = accountData;
  }

  /** To be awaited before the first commit. */
  async load(): Promise<void> {
    let after: UserId | null = null;
    for (;;) {
      const page: { userId: UserId; roomId: unknown }[] = await this.#accountData.listOfType(
        pushRulesType,
        after,
        pageSize,
      );
      const last = page.at(-1);
      if (!last) return;
      for (const { userId, roomId } of page) if (roomId === null) this.#owners.add(userId);
      after = last.userId;
    }
  }

  /** A listener for the feed. */
  apply(changes: readonly Change[]): void {
    for (const change of changes) {
      if (change.kind !== 'account_data' || change.roomId !== null || change.type !== pushRulesType) continue;
      this.#changes += 1;
      this.#owners.add(change.userId);
      this.#compiled.delete(change.userId);
    }
  }

  /** Whose rules may differ from the default ones. Live. */
  get owners(): ReadonlySet<UserId> {
    return this.#owners;
  }

  /** The rules of each of these users. */
  async compiledOf(userIds: Iterable<UserId>): Promise<Map<UserId, Evaluate>> {
    const found = new Map<UserId, Evaluate>();
    const missing: UserId[] = [];
    for (const userId of userIds) {
      const known = this.#compiled.get(userId);
      if (known) found.set(userId, known);
      else missing.push(userId);
    }
    if (missing.length === 0) return found;
    const before = this.#changes;
    const owners = missing.filter((userId) => this.#owners.has(userId));
    const rows = owners.length > 0 ? await this.#accountData.listOfUsers(owners, pushRulesType) : [];
    const stored = new Map(rows.map((row) => [row.userId, row.content]));
    for (const userId of missing) {
      const compiled = compilePushRules(rulesetOf(userId, parseOwnRules(stored.get(userId))));
      found.set(userId, compiled);
      if (this.#changes === before) this.#compiled.set(userId, compiled);
    }
    return found;
  }
}

import type { UserId } from '../../matrix/ids.ts';
import { ignoredUsersType, parseIgnoredUsers } from '../../matrix/ignored-users.ts';
import type { JsonObject } from '../../matrix/pdu.ts';
import type { AccountDataReads, AccountDataRow } from '../../storage/contract/account-data.ts';
import type { Change } from '../../storage/contract/changes.ts';

const pageSize = 100;
const nobody: ReadonlySet<UserId> = new Set();

/** By whom users are ignored: the ignore lists, read the other way round. */
export class Ignorers {
  readonly #accountData: Pick<AccountDataReads, 'listOfType'>;
  readonly #byIgnored = new Map<UserId, Set<UserId>>();

  constructor(accountData: Pick<AccountDataReads, 'listOfType'>) {
    this.#accountData = accountData;
  }

  /** To be awaited before the first commit. */
  async load(): Promise<void> {
    let after: UserId | null = null;
    for (;;) {
      const page: AccountDataRow[] = await this.#accountData.listOfType(ignoredUsersType, after, pageSize);
      const last = page.at(-1);
      if (!last) return;
      for (const { userId, roomId, content } of page) if (roomId === null) this.#replace(userId, undefined, content);
      after = last.userId;
    }
  }

  /** A listener for the feed. */
  apply(changes: readonly Change[]): void {
    for (const change of changes) {
      if (change.kind !== 'account_data' || change.roomId !== null || change.type !== ignoredUsersType) continue;
      this.#replace(change.userId, change.before ?? undefined, change.content);
    }
  }

  of(userId: UserId): ReadonlySet<UserId> {
    return this.#byIgnored.get(userId) ?? nobody;
  }

  #replace(ignorer: UserId, before: JsonObject | undefined, now: JsonObject): void {
    for (const ignored of parseIgnoredUsers(before)) {
      const ignorers = this.#byIgnored.get(ignored);
      ignorers?.delete(ignorer);
      if (ignorers?.size === 0) this.#byIgnored.delete(ignored);
    }
    for (const ignored of parseIgnoredUsers(now)) {
      const ignorers = this.#byIgnored.get(ignored);
      if (ignorers) ignorers.add(ignorer);
      else this.#byIgnored.set(ignored, new Set([ignorer]));
    }
  }
}

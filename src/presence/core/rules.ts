import { breathe } from '../../base/breathe.ts';
import { isUserId, type UserId } from '../../matrix/ids.ts';
import { ignoredUsersType } from '../../matrix/ignored-users.ts';
import type { JsonObject } from '../../matrix/pdu.ts';
import type { AccountDataReads } from '../../storage/contract/account-data.ts';
import {
  compileRules,
  defaultRules,
  emptyConfig,
  readStoredConfig,
  type SharingConfig,
  type SharingRules,
  sharingConfigTypes,
  unreadableRules,
} from '../sharing-config.ts';

const pageSize = 500;

/** The three documents that decide who sees a user, as they are stored. */
interface Documents {
  /** By account-data type. */
  readonly configs: ReadonlyMap<string, JsonObject>;
  readonly ignored: JsonObject | undefined;
}

interface Entry {
  readonly documents: Documents;
  readonly rules: SharingRules;
}

const nothing: Documents = { configs: new Map(), ignored: undefined };

/** Whether this account data decides who sees its owner. */
export function isAudienceType(type: string): boolean {
  return type === ignoredUsersType || sharingConfigTypes.includes(type);
}

/** The rules of every user who has any, compiled; the others have `defaultRules` and cost nothing. */
export class RulesOfUsers {
  readonly #entries = new Map<UserId, Entry>();

  async load(accountData: Pick<AccountDataReads, 'listOfType'>): Promise<void> {
    for (const type of [...sharingConfigTypes, ignoredUsersType]) {
      let after: UserId | null = null;
      for (;;) {
        const page: Awaited<ReturnType<AccountDataReads['listOfType']>> = await accountData.listOfType(
          type,
          after,
          pageSize,
        );
        for (const row of page) {
          if (row.roomId === null) this.put(row.userId, new Map([[type, row.content]]));
        }
        await breathe();
        const last = page.at(-1);
        if (!last || page.length < pageSize) break;
        after = last.userId;
      }
    }
  }

  rulesOf(userId: UserId): SharingRules {
    return this.#entries.get(userId)?.rules ?? defaultRules;
  }

  /** The sharing config documents by type; empty for a user without one. */
  configsOf(userId: UserId): ReadonlyMap<string, JsonObject> {
    return this.#entries.get(userId)?.documents.configs ?? nothing.configs;
  }

  /** The rules if these documents, by type, took the place of what is there. */
  preview(userId: UserId, contents: ReadonlyMap<string, JsonObject>): SharingRules {
    return compile(replace(this.#entries.get(userId)?.documents ?? nothing, contents));
  }

  put(userId: UserId, contents: ReadonlyMap<string, JsonObject>): SharingRules {
    const documents = replace(this.#entries.get(userId)?.documents ?? nothing, contents);
    const rules = compile(documents);
    this.#entries.set(userId, { documents, rules });
    return rules;
  }

  remove(userId: UserId): void {
    this.#entries.delete(userId);
  }
}

function replace(documents: Documents, contents: ReadonlyMap<string, JsonObject>): Documents {
  const configs = new Map(documents.configs);
  let { ignored } = documents;
  for (const [type, content] of contents) {
    if (type === ignoredUsersType) ignored = content;
    else configs.set(type, content);
  }
  return { configs, ignored };
}

/** Fails closed: whatever cannot be read makes that nobody sees the user. */
function compile(documents: Documents): SharingRules {
  const ignored = readIgnored(documents.ignored);
  if (!ignored) return unreadableRules;
  const configs: SharingConfig[] = [];
  const seen = new Set<string>();
  for (const content of documents.configs.values()) {
    const text = JSON.stringify(content);
    // The two types are one document; only where an old database holds different ones must a viewer pass both.
    if (seen.has(text)) continue;
    seen.add(text);
    const config = readStoredConfig(content);
    if (!config) return unreadableRules;
    configs.push(config);
  }
  if (configs.length === 0) configs.push(emptyConfig);
  return compileRules(configs, ignored);
}

/** Undefined where it is no list of ignored users. Unlike for other uses of the list, none of it is left out. */
export function readIgnored(content: JsonObject | undefined): ReadonlySet<UserId> | undefined {
  const users = content?.ignored_users;
  if (users === undefined) return new Set();
  if (typeof users !== 'object' || users === null || Array.isArray(users)) return undefined;
  return new Set(Object.keys(users).filter(isUserId));
}

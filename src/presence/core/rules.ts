import { breathe } from '../../base/breathe.ts';
import { isUserId, type UserId } from '../../matrix/ids.ts';
import { ignoredUsersType } from '../../matrix/ignored-users.ts';
import type { JsonObject } from '../../matrix/pdu.ts';
import type { AccountDataReads } from '../../storage/contract/account-data.ts';
import { parseSharingConfig, readStoredConfig, type SharingConfig, sharingConfigTypes } from '../sharing-config.ts';
import {
  type AdministratorConfigs,
  compileRules,
  noAdministratorConfigs,
  type SharingRules,
  unreadableRules,
} from '../sharing-rules.ts';

const pageSize = 500;
const nobody: ReadonlySet<UserId> = new Set();

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

/** The rules of every user who has any, compiled; the others have the administrator's default and cost nothing. */
export class RulesOfUsers {
  readonly #administrator: AdministratorConfigs;
  readonly #fallback: SharingRules;
  readonly #entries = new Map<UserId, Entry>();
  /** Subject → users who name them in a config of their own. */
  readonly #namedBy = new Map<UserId, Set<UserId>>();

  constructor(administrator: AdministratorConfigs = noAdministratorConfigs) {
    this.#administrator = administrator;
    this.#fallback = compileRules([], nobody, administrator);
  }

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
    return this.#entries.get(userId)?.rules ?? this.#fallback;
  }

  /** What the rules would be if the administrator had written something else. */
  under(administrator: AdministratorConfigs): (userId: UserId) => SharingRules {
    const fallback = compileRules([], nobody, administrator);
    const known = new Map<UserId, SharingRules>();
    return (userId) => {
      const documents = this.#entries.get(userId)?.documents;
      if (!documents) return fallback;
      const rules = known.get(userId) ?? compile(documents, administrator);
      known.set(userId, rules);
      return rules;
    };
  }

  /** Users of ours who name the subject in their own `allowed_users`. Whether they want them is for the policy to say. */
  namedBy(subject: UserId): ReadonlySet<UserId> {
    return this.#namedBy.get(subject) ?? nobody;
  }

  /** The sharing config documents by type; empty for a user without one. */
  configsOf(userId: UserId): ReadonlyMap<string, JsonObject> {
    return this.#entries.get(userId)?.documents.configs ?? nothing.configs;
  }

  /** The rules if these documents, by type, took the place of what is there. */
  preview(userId: UserId, contents: ReadonlyMap<string, JsonObject>): SharingRules {
    return compile(replace(this.#entries.get(userId)?.documents ?? nothing, contents), this.#administrator);
  }

  put(userId: UserId, contents: ReadonlyMap<string, JsonObject>): SharingRules {
    const documents = replace(this.#entries.get(userId)?.documents ?? nothing, contents);
    const rules = compile(documents, this.#administrator);
    this.#index(userId, rules);
    this.#entries.set(userId, { documents, rules });
    return rules;
  }

  #index(userId: UserId, rules: SharingRules): void {
    const former = this.rulesOf(userId);
    if (former.namedByServer === rules.namedByServer) return;
    for (const subject of listNamed(former)) {
      const users = this.#namedBy.get(subject);
      users?.delete(userId);
      if (users?.size === 0) this.#namedBy.delete(subject);
    }
    for (const subject of listNamed(rules)) {
      const users = this.#namedBy.get(subject);
      if (users) users.add(userId);
      else this.#namedBy.set(subject, new Set([userId]));
    }
  }
}

/** Everybody whom the user's own config names. */
export function* listNamed({ isOwn, namedByServer }: SharingRules): Generator<UserId> {
  if (isOwn) for (const users of namedByServer.values()) yield* users;
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
function compile(documents: Documents, administrator: AdministratorConfigs): SharingRules {
  const ignored = readIgnored(documents.ignored);
  if (!ignored) return unreadableRules(administrator.override);
  const configs: SharingConfig[] = [];
  const seen = new Set<string>();
  for (const content of documents.configs.values()) {
    const text = JSON.stringify(content);
    // The two types are one document; only where an old database holds different ones must a viewer pass both.
    if (seen.has(text)) continue;
    seen.add(text);
    const config = readStoredConfig(content);
    if (!config) return unreadableRules(administrator.override);
    configs.push(config);
  }
  return compileRules(configs, ignored, administrator);
}

/** Throws for a config that cannot be read: who wrote it is there to mend it, and nothing is shared until then. */
export function readAdministratorConfigs(settings: {
  readonly defaultConfig: JsonObject | null;
  readonly overrideConfig: JsonObject | null;
}): AdministratorConfigs {
  const read = (content: JsonObject | null): SharingConfig | null => {
    if (content === null) return null;
    const parsed = parseSharingConfig(content);
    if (parsed.outcome === 'bad') throw new Error(`the administrator's sharing config: ${parsed.problem}`);
    return parsed.config;
  };
  return { fallback: read(settings.defaultConfig), override: read(settings.overrideConfig) };
}

/** Undefined where it is no list of ignored users. Unlike for other uses of the list, none of it is left out. */
export function readIgnored(content: JsonObject | undefined): ReadonlySet<UserId> | undefined {
  const users = content?.ignored_users;
  if (users === undefined) return new Set();
  if (typeof users !== 'object' || users === null || Array.isArray(users)) return undefined;
  return new Set(Object.keys(users).filter(isUserId));
}

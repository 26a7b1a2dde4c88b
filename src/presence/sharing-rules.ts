import { serverOfUser, type UserId } from '../matrix/ids.ts';
import type { ServerName } from '../matrix/server-name.ts';
import { emptyConfig, type SharingConfig } from './sharing-config.ts';

/** Servers that a user may have contacted for the sake of strangers whom they allow by name. */
const strangerServersMax = 20;

/** All that decides who sees a user: the documents, each of which a viewer must pass, and whom the user ignores. */
export interface SharingRules {
  /** The user's own, or the administrator's default. Two only where an old database holds different ones under the two types. */
  readonly configs: readonly SharingConfig[];
  /** Whether the user wrote them. */
  readonly isOwn: boolean;
  /** The administrator's, for everybody. */
  readonly override: SharingConfig | null;
  readonly ignored: ReadonlySet<UserId>;
  /** Servers of which some user is ignored, or denied by name, and not allowed by name. */
  readonly serversNamedOut: ReadonlySet<ServerName>;
  /** Who is allowed by name, by their servers, in the order of the list. */
  readonly namedByServer: ReadonlyMap<ServerName, readonly UserId[]>;
  /** A stored setting cannot be read: nobody but the user sees them. */
  readonly unreadable: boolean;
}

/** What the administrator wrote for everybody. */
export interface AdministratorConfigs {
  /** For users without a config of their own. */
  readonly fallback: SharingConfig | null;
  /** A second config that every viewer must pass too. */
  readonly override: SharingConfig | null;
}

export const noAdministratorConfigs: AdministratorConfigs = { fallback: null, override: null };

/** `configs`: the user's own; empty: the administrator's default, or the steps over empty lists. */
export function compileRules(
  configs: readonly SharingConfig[],
  ignored: ReadonlySet<UserId>,
  { fallback, override }: AdministratorConfigs = noAdministratorConfigs,
): SharingRules {
  const isOwn = configs.length > 0;
  const effective = isOwn ? configs : [fallback ?? emptyConfig];
  const serversNamedOut = new Set<ServerName>();
  for (const { allowed, denied } of effective) {
    addServersOut(serversNamedOut, ignored, allowed.users);
    addServersOut(serversNamedOut, denied.users, allowed.users);
  }
  if (override) addServersOut(serversNamedOut, override.denied.users, override.allowed.users);
  return {
    configs: effective,
    isOwn,
    override,
    ignored,
    serversNamedOut,
    namedByServer: nameByServer(effective),
    unreadable: false,
  };
}

export function unreadableRules(override: SharingConfig | null): SharingRules {
  const rules = compileRules([emptyConfig], new Set(), { fallback: null, override });
  return { ...rules, isOwn: false, unreadable: true };
}

/**
 * Other servers where somebody is allowed by name: the first twenty that the list names. They are told also where no room is
 * shared; which they are depends on the list alone, so that nobody's join or leave moves another server out.
 */
export function strangerServersOf({ namedByServer }: SharingRules, ownServer: ServerName): readonly ServerName[] {
  const servers: ServerName[] = [];
  for (const server of namedByServer.keys()) {
    if (servers.length >= strangerServersMax) break;
    if (server !== ownServer) servers.push(server);
  }
  return servers;
}

function addServersOut(servers: Set<ServerName>, out: ReadonlySet<string>, unless: ReadonlySet<string>): void {
  // Exact entries were checked to be user ids.
  for (const user of out) if (!unless.has(user)) servers.add(serverOfUser(user as UserId));
}

/** Whom all of the documents name: without a shared room nothing else lets a viewer in. */
function nameByServer([first, ...others]: readonly SharingConfig[]): ReadonlyMap<ServerName, readonly UserId[]> {
  const named = new Map<ServerName, UserId[]>();
  for (const entry of first?.allowed.users ?? []) {
    if (!others.every(({ allowed }) => allowed.users.has(entry))) continue;
    // Exact entries were checked to be user ids.
    const user = entry as UserId;
    const server = serverOfUser(user);
    const users = named.get(server);
    if (users) users.push(user);
    else named.set(server, [user]);
  }
  return named;
}

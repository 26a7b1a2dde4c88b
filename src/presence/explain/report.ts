import { breathe } from '../../base/breathe.ts';
import { compareByCodePoint } from '../../base/json/canonical-json.ts';
import { serverOfUser, type UserId } from '../../matrix/ids.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import type { Roster } from '../../roster/roster.ts';
import type { Awareness } from '../core/awareness.ts';
import { sharesWithWholeServer } from '../policy.ts';
import type { PresenceSettings } from '../settings.ts';
import { strangerServersOf } from '../sharing-rules.ts';
import { type Basis, type Decision, explainPair, explainWholeServer } from './decision.ts';
import type { ServerLine, ViewerLine } from './lines.ts';
import { listWarnings, type Warning } from './warnings.ts';

export const viewersPerPageMax = 1_000;

/** Who sees a user, and why. */
export interface AudienceReport {
  readonly subject: UserId;
  /** In order of their ids: who shares a room, seen or not, and who is named; without those of whole servers. */
  readonly viewers: readonly ViewerLine[];
  /** The id behind which the next page begins. */
  readonly next: UserId | null;
  /** Other servers and warnings; on the first page only. */
  readonly servers: readonly ServerLine[];
  readonly warnings: readonly Warning[];
}

export interface ReportDeps extends Basis {
  readonly serverName: ServerName;
  readonly roster: Pick<Roster, 'usersSharingWith' | 'usersIn'>;
  readonly awareness: Pick<Awareness, 'isAware' | 'stanceTowards'>;
  readonly settings: Pick<PresenceSettings, 'enabled' | 'outbound'>;
}

/**
 * What the policy says to each who could see the user now, as the senders and `/sync` ask it. It shows neither whether a
 * stranger wants to be told nor whether an account exists.
 */
export async function reportAudience(
  deps: ReportDeps,
  subject: UserId,
  page: { readonly after: UserId | null; readonly limit: number },
): Promise<AudienceReport> {
  const { roster, facts } = deps;
  const sharing = roster.usersSharingWith(subject);
  const rules = facts.rulesOf(subject);
  const named = [...rules.namedByServer.values()].flat().filter((user) => user !== subject);
  const byServer = groupByServer([...new Set([...sharing, ...named])]);
  const lines: UserId[] = [];
  const servers: ServerLine[] = [];
  for (const [server, users] of byServer) {
    await breathe();
    if (!isAsked(deps, server)) continue;
    const isWhole = server !== deps.serverName && sharesWithWholeServer(subject, server, facts);
    const isWithheld = server !== deps.serverName && isKeptFrom(deps, server, isWhole);
    if (!isWhole && !isWithheld) lines.push(...users);
    if (server !== deps.serverName && page.after === null)
      servers.push(await describeServer(deps, { subject, server, users, isWhole, isWithheld }));
  }
  const rest = lines
    .sort(compareByCodePoint)
    .filter((user) => page.after === null || compareByCodePoint(user, page.after) > 0);
  const viewers = await describeViewers(deps, subject, rest.slice(0, page.limit));
  const isFirst = page.after === null;
  servers.sort((a, b) => compareByCodePoint(a.server, b.server));
  const { serverName: ownServer } = deps;
  return {
    subject,
    viewers,
    next: rest.length > viewers.length ? (viewers.at(-1)?.viewer ?? null) : null,
    servers,
    warnings: isFirst ? listWarnings({ ...deps, ownServer, subject, sharing, servers }) : [],
  };
}

/** Nobody of a server that is told nothing sees anything. */
function isAsked({ settings, serverName }: ReportDeps, server: ServerName): boolean {
  return settings.enabled && (settings.outbound || server === serverName);
}

function isKeptFrom({ awareness }: ReportDeps, server: ServerName, isWhole: boolean): boolean {
  const stance = awareness.stanceTowards(server);
  return stance === 'withhold' || (stance === 'whole_server_only' && !isWhole);
}

async function describeViewers(deps: ReportDeps, subject: UserId, users: readonly UserId[]): Promise<ViewerLine[]> {
  const lines: ViewerLine[] = [];
  for (const viewer of users) {
    if (lines.length % 100 === 0) await breathe();
    const sharesRoom = deps.facts.shareRoom(subject, viewer);
    lines.push({ viewer, sharesRoom, ...explainPair({ subject, viewer }, deps) });
  }
  return lines;
}

async function describeServer(
  deps: ReportDeps,
  given: { subject: UserId; server: ServerName; users: readonly UserId[]; isWhole: boolean; isWithheld: boolean },
): Promise<ServerLine> {
  const { subject, server, users, isWhole, isWithheld } = given;
  const told = new Set(strangerServersOf(deps.facts.rulesOf(subject), deps.serverName));
  let viewers = 0;
  let decision: Decision | undefined = isWhole ? explainWholeServer(subject, server, deps) : undefined;
  let count = 0;
  for (const viewer of users) {
    count += 1;
    if (count % 100 === 0) await breathe();
    if (!deps.facts.shareRoom(subject, viewer) && !told.has(server)) continue;
    const own = explainPair({ subject, viewer }, deps);
    if (own.sees) viewers += 1;
    decision ??= own;
    if (own.sees && !decision.sees) decision = own;
  }
  const nobody: Decision = { sees: false, step: 9, config: 'own', list: null, entry: null };
  const honoursList = deps.awareness.isAware(server);
  if (isWithheld) return { ...(decision ?? nobody), server, isWhole, viewers: 0, honoursList, isWithheld, sees: false };
  return { ...(decision ?? nobody), server, isWhole, viewers, honoursList, isWithheld };
}

function groupByServer(users: readonly UserId[]): Map<ServerName, UserId[]> {
  const groups = new Map<ServerName, UserId[]>();
  for (const user of users) {
    const server = serverOfUser(user);
    const group = groups.get(server);
    if (group) group.push(user);
    else groups.set(server, [user]);
  }
  return groups;
}

import { breathe } from '../../base/breathe.ts';
import { type RoomId, serverOfUser, type UserId } from '../../matrix/ids.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import type { Roster } from '../../roster/roster.ts';
import { type PolicyFacts, reaches, sharesWithWholeServer } from '../policy.ts';
import type { UnawareServers } from '../settings.ts';
import { strangerServersOf } from '../sharing-rules.ts';
import { createFacts, type Ground } from './facts.ts';

/** One moment: its facts, the rooms that they come from, and what may be sent to which server. */
export interface Moment {
  readonly facts: PolicyFacts;
  /** `send` for a server that is known to honour the field. */
  stanceTowards(server: ServerName): UnawareServers;
  roomsOf(user: UserId): ReadonlySet<RoomId>;
}

export function momentOf(ground: Ground, stanceTowards: Moment['stanceTowards']): Moment {
  return { facts: createFacts(ground), stanceTowards, roomsOf: (user) => ground.roomsOf(user) };
}

/** Servers that may have to be told of the subject: who share a room, and those of strangers allowed by name. Ours is no loss. */
export function listServers(
  subject: UserId,
  roster: Pick<Roster, 'serversSharingWith'>,
  facts: Pick<PolicyFacts, 'rulesOf'>,
): Set<ServerName> {
  const servers = roster.serversSharingWith(subject);
  for (const server of strangerServersOf(facts.rulesOf(subject), serverOfUser(subject))) servers.add(server);
  return servers;
}

/** Everybody of the server who could see the subject at one of these moments: who shares a room, and whom the list names. */
export async function listCandidates(
  roster: Pick<Roster, 'usersOfServerIn'>,
  { subject, server }: { readonly subject: UserId; readonly server: ServerName },
  moments: readonly Moment[],
): Promise<ReadonlySet<UserId>> {
  const users = new Set<UserId>();
  const rooms = new Set<RoomId>();
  for (const { facts, roomsOf } of moments) {
    for (const roomId of roomsOf(subject)) rooms.add(roomId);
    for (const user of facts.rulesOf(subject).namedByServer.get(server) ?? []) users.add(user);
  }
  for (const roomId of rooms) {
    const some = roster.usersOfServerIn(roomId, server);
    if (some.size > 100) await breathe();
    for (const user of some) users.add(user);
  }
  return users;
}

/**
 * Whether nothing of the subject is sent to the server, whoever may see them there: it is not known to honour the field, and so
 * would show an update to every user who shares a room. `candidates`: as `listCandidates` gives them for this moment.
 */
export async function isWithheld(
  { subject, server }: { readonly subject: UserId; readonly server: ServerName },
  { facts, stanceTowards }: Moment,
  candidates: ReadonlySet<UserId>,
): Promise<boolean> {
  const stance = stanceTowards(server);
  if (stance !== 'whole_server_only') return stance === 'withhold';
  let count = 0;
  for (const user of candidates) {
    count += 1;
    if (count % 100 === 0) await breathe();
    if (facts.shareRoom(subject, user) && !reaches(subject, user, facts)) return true;
  }
  return false;
}

/**
 * Whether the viewer, of another server, comes to share a room with somebody who lets them in by name, or stops to. Their server
 * may have thrown away what it was sent of a stranger, and what was for whoever shares a room is not theirs any more: so it is as if
 * they gained sight.
 */
export function changesMeeting(
  subject: UserId,
  viewer: UserId,
  { before, after }: { readonly before: PolicyFacts | undefined; readonly after: PolicyFacts | undefined },
): boolean {
  if (!before || !after || !before.rulesOf(subject).namedByServer.has(serverOfUser(viewer))) return false;
  return after.shareRoom(subject, viewer) !== before.shareRoom(subject, viewer);
}

/** Whether any of these users is given the subject before but not after, and the other way round. Undefined: nobody is. */
async function compareAudience(
  subject: UserId,
  viewers: Iterable<UserId>,
  moments: { readonly before: PolicyFacts | undefined; readonly after: PolicyFacts | undefined },
): Promise<{ readonly gained: boolean; readonly lost: boolean }> {
  let gained = false;
  let lost = false;
  let count = 0;
  for (const viewer of viewers) {
    count += 1;
    if (count % 100 === 0) await breathe();
    const sawBefore = moments.before !== undefined && reaches(subject, viewer, moments.before);
    const seesAfter = moments.after !== undefined && reaches(subject, viewer, moments.after);
    gained ||= seesAfter && (!sawBefore || changesMeeting(subject, viewer, moments));
    lost ||= sawBefore && !seesAfter;
    if (gained && lost) break;
  }
  return { gained, lost };
}

/**
 * What a change does to the subject's audience on a server. `lost` also when it was the whole server, whoever might still
 * join there, and is not any more: what the server holds would be shown to people to come. `movers`: users of the server who came
 * or left between the two moments.
 */
export async function compareOnServer(
  roster: Pick<Roster, 'usersOfServerIn'>,
  pair: { readonly subject: UserId; readonly server: ServerName; readonly movers?: readonly UserId[] },
  moments: { readonly before: Moment; readonly after: Moment },
): Promise<{ readonly gained: boolean; readonly lost: boolean }> {
  const { subject, movers = [] } = pair;
  const { before, after } = moments;
  const present = await listCandidates(roster, pair, [before, after]);
  const viewers = movers.length === 0 ? present : new Set([...present, ...movers]);
  if (viewers.size === 0) return { gained: false, lost: false };
  const was = (await isWithheld(pair, before, viewers)) ? undefined : before.facts;
  const is = (await isWithheld(pair, after, viewers)) ? undefined : after.facts;
  const compared = await compareAudience(subject, viewers, { before: was, after: is });
  return { gained: compared.gained, lost: compared.lost || losesWhole(pair, { before: was, after: is }) };
}

/** Whether the audience was the whole server and is not any more, be it because somebody goes on to be given the subject without a room. */
export function losesWhole(
  { subject, server }: { readonly subject: UserId; readonly server: ServerName },
  { before, after }: { readonly before: PolicyFacts | undefined; readonly after: PolicyFacts | undefined },
): boolean {
  if (!before || !sharesWithWholeServer(subject, server, before)) return false;
  return !after || !sharesWithWholeServer(subject, server, after);
}

import { breathe } from '../../base/breathe.ts';
import { type RoomId, serverOfUser, type UserId } from '../../matrix/ids.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import type { Roster } from '../../roster/roster.ts';
import { type PolicyFacts, reaches, sharesWithWholeServer } from '../policy.ts';
import { strangerServersOf } from '../sharing-rules.ts';
import { createFacts, type Ground } from './facts.ts';

/** One moment: its facts, and the rooms that they come from. */
export interface Moment {
  readonly facts: PolicyFacts;
  roomsOf(user: UserId): ReadonlySet<RoomId>;
}

export function momentOf(ground: Ground): Moment {
  return { facts: createFacts(ground), roomsOf: (user) => ground.roomsOf(user) };
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

/** Whether any of these users is given the subject before but not after, and the other way round. */
async function compareAudience(
  subject: UserId,
  viewers: Iterable<UserId>,
  moments: { readonly before: PolicyFacts; readonly after: PolicyFacts },
): Promise<{ readonly gained: boolean; readonly lost: boolean }> {
  let gained = false;
  let lost = false;
  let count = 0;
  for (const viewer of viewers) {
    count += 1;
    if (count % 100 === 0) await breathe();
    const sawBefore = reaches(subject, viewer, moments.before);
    const seesAfter = reaches(subject, viewer, moments.after);
    gained ||= seesAfter && !sawBefore;
    lost ||= sawBefore && !seesAfter;
    if (gained && lost) break;
  }
  return { gained, lost };
}

/**
 * What a change does to the subject's audience on a server. `lost` also when it was the whole server, whoever might still
 * join there, and is not any more: what the server holds would be shown to people to come.
 */
export async function compareOnServer(
  roster: Pick<Roster, 'usersOfServerIn'>,
  pair: { readonly subject: UserId; readonly server: ServerName },
  moments: { readonly before: Moment; readonly after: Moment },
): Promise<{ readonly gained: boolean; readonly lost: boolean }> {
  const { subject, server } = pair;
  const { before, after } = moments;
  const viewers = await listCandidates(roster, pair, [before, after]);
  if (viewers.size === 0) return { gained: false, lost: false };
  const compared = await compareAudience(subject, viewers, { before: before.facts, after: after.facts });
  const wasWhole = sharesWithWholeServer(subject, server, before.facts);
  const isWhole = sharesWithWholeServer(subject, server, after.facts);
  return { gained: compared.gained, lost: compared.lost || (wasWhole && !isWhole) };
}

import { breathe } from '../../base/breathe.ts';
import type { RoomId, UserId } from '../../matrix/ids.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import type { Roster } from '../../roster/roster.ts';
import { maySee, type PolicyFacts, sharesWithWholeServer } from '../policy.ts';
import { createFacts, type Ground } from './facts.ts';

/** One moment: its facts, and the rooms that they come from. */
export interface Moment {
  readonly facts: PolicyFacts;
  roomsOf(user: UserId): ReadonlySet<RoomId>;
}

export function momentOf(ground: Ground): Moment {
  return { facts: createFacts(ground), roomsOf: (user) => ground.roomsOf(user) };
}

/** Everybody of the server who shares a room with the subject: the only ones there who could see them. */
export async function listUsersSharing(
  roster: Pick<Roster, 'usersOfServerIn'>,
  rooms: ReadonlySet<RoomId>,
  server: ServerName,
): Promise<ReadonlySet<UserId>> {
  const users = new Set<UserId>();
  for (const roomId of [...rooms]) {
    const some = roster.usersOfServerIn(roomId, server);
    if (some.size > 100) await breathe();
    for (const user of some) users.add(user);
  }
  return users;
}

/** Whether any of these users sees the subject before but not after, and the other way round. */
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
    const sawBefore = maySee(subject, viewer, moments.before);
    const seesAfter = maySee(subject, viewer, moments.after);
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
  const rooms = new Set([...before.roomsOf(subject), ...after.roomsOf(subject)]);
  const viewers = await listUsersSharing(roster, rooms, server);
  if (viewers.size === 0) return { gained: false, lost: false };
  const compared = await compareAudience(subject, viewers, { before: before.facts, after: after.facts });
  const wasWhole = sharesWithWholeServer(subject, server, before.facts);
  const isWhole = sharesWithWholeServer(subject, server, after.facts);
  return { gained: compared.gained, lost: compared.lost || (wasWhole && !isWhole) };
}

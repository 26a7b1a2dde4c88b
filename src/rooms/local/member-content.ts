import { authorisedViaKey } from '../../engine/event/verify.ts';
import { serverOfUser, type UserId } from '../../matrix/ids.ts';
import type { JsonObject } from '../../matrix/pdu.ts';
import type { Membership } from '../../storage/contract/rooms.ts';
import type { RoomsCore } from '../core/deps.ts';

/**
 * The content of a member event: the user's profile if they are ours, whatever else the client adds, and the membership, which nobody
 * overwrites.
 */
export async function memberContent(
  deps: Pick<RoomsCore, 'ports' | 'serverName'>,
  member: { readonly userId: UserId; readonly membership: Membership },
  more: JsonObject = {},
): Promise<JsonObject> {
  const isOurs = serverOfUser(member.userId) === deps.serverName;
  const withProfile = isOurs && member.membership !== 'leave' && member.membership !== 'ban';
  const profile = withProfile ? await deps.ports.findProfile(member.userId) : undefined;
  return {
    ...(profile && profile.displayname !== null ? { displayname: profile.displayname } : {}),
    ...(profile && profile.avatarUrl !== null ? { avatar_url: profile.avatarUrl } : {}),
    ...more,
    membership: member.membership,
  };
}

/**
 * Without the word of who vouched for a restricted join: it holds for one event, which that user's server signed, and a client cannot
 * give it.
 */
export function withoutAuthoriser(content: JsonObject): JsonObject {
  if (!Object.hasOwn(content, authorisedViaKey)) return content;
  return Object.fromEntries(Object.entries(content).filter(([key]) => key !== authorisedViaKey));
}

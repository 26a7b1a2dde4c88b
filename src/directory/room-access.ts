import { isServerAllowedBy } from '../engine/server-acl.ts';
import type { RoomId, UserId } from '../matrix/ids.ts';
import { allowedRoomsOf, approachOf } from '../matrix/join-rules.ts';
import { findRoomVersion } from '../matrix/room-versions.ts';
import type { ServerName } from '../matrix/server-name.ts';
import type { Roster } from '../roster/roster.ts';
import type { RoomFacts } from '../storage/contract/directory.ts';
import type { Membership } from '../storage/contract/rooms.ts';

/**
 * Who may learn of a room without being in it (client-server API, "GET /hierarchy" and "GET /room_summary"). What cannot be read lets nobody
 * learn of it.
 */

type Known = Pick<RoomFacts, 'joinRule' | 'joinRules' | 'worldReadable' | 'version'>;

/** Whether anybody may, signed in or not: "a join rule of `public`, `knock` or `knock_restricted`", or "`world_readable` history visibility". */
export function mayAnybodySee(room: Known): boolean {
  if (room.worldReadable) return true;
  const version = findRoomVersion(room.version);
  if (!version) return false;
  const { isPublic, mayKnock } = approachOf(room.joinRule, version);
  return isPublic || mayKnock;
}

/**
 * Whether a user of ours may: a member, whoever is invited, who may join or knock, or look into the room. Whoever is banned may do none of this
 * but look into what all the world may read.
 */
export function mayUserSee(
  roster: Pick<Roster, 'isJoined'>,
  room: Known,
  user: { readonly userId: UserId; readonly membership: Membership | undefined },
): boolean {
  if (room.worldReadable || user.membership === 'join' || user.membership === 'invite') return true;
  if (user.membership === 'ban') return false;
  return mayAnybodySee(room) || restrictedRooms(room).some((roomId) => roster.isJoined(roomId, user.userId));
}

/** Whether one of a server's users might. `isInvited`: one of them is invited. A server that the room keeps out learns nothing. */
export function mayServerSee(
  roster: Pick<Roster, 'serversIn'>,
  room: Known & Pick<RoomFacts, 'roomId' | 'serverAcl'>,
  server: { readonly name: ServerName; readonly isInvited: boolean },
): boolean {
  if (!isServerAllowedBy(room.serverAcl ?? undefined, server.name)) return false;
  if (mayAnybodySee(room) || server.isInvited || roster.serversIn(room.roomId).has(server.name)) return true;
  return restrictedRooms(room).some((roomId) => roster.serversIn(roomId).has(server.name));
}

/** The rooms whose members may join; empty where the rule is another one. */
export function restrictedRooms(room: Pick<Known, 'joinRule' | 'joinRules' | 'version'>): RoomId[] {
  const version = findRoomVersion(room.version);
  return version && approachOf(room.joinRule, version).isRestricted ? allowedRoomsOf(room.joinRules) : [];
}

import { joinRuleIn, membershipIn } from '../../engine/auth-state.ts';
import { authorisedViaKey } from '../../engine/event/verify.ts';
import { mayAct } from '../../engine/power.ts';
import { forbidden, unableToAuthoriseJoin, unableToGrantJoin } from '../../matrix/errors.ts';
import type { UserId } from '../../matrix/ids.ts';
import { allowedRoomsOf } from '../../matrix/join-rules.ts';
import { type JsonObject, stateKeyOf } from '../../matrix/pdu.ts';
import { memberKey } from '../state-reads.ts';
import type { RoomsCore } from './deps.ts';
import { powerKeys } from './power-keys.ts';
import type { RoomDraft } from './room-draft.ts';

const joinRulesKey = stateKeyOf('m.room.join_rules', '');

/**
 * What a join to a restricted room needs beside the membership: the name of one of our users who could invite, once the joining user
 * is seen to be in one of the rooms that the rule allows (room version 8, "restricted"). Nothing where the rule does not ask for it.
 * Throws M_FORBIDDEN where the user meets no condition, M_UNABLE_TO_AUTHORISE_JOIN where we cannot see whether, M_UNABLE_TO_GRANT_JOIN
 * where none of ours can vouch.
 */
export async function restrictedJoinContent(
  deps: Pick<RoomsCore, 'storage' | 'roster' | 'serverName'>,
  draft: RoomDraft,
  userId: UserId,
): Promise<JsonObject> {
  const state = await draft.readAuthState([joinRulesKey, memberKey(userId), ...powerKeys]);
  const rule = joinRuleIn(state, draft.version);
  if (rule !== 'restricted' && rule !== 'knock_restricted') return {};
  const membership = membershipIn(state, userId);
  if (membership === 'join' || membership === 'invite') return {};
  if (membership === 'ban') throw forbidden('You are banned from this room');
  const rooms = allowedRoomsOf(state('m.room.join_rules', '')?.pdu.content);
  // What we know of rooms that we left is of the past.
  const known = rooms.filter((roomId) => deps.roster.usersOfServerIn(roomId, deps.serverName).size > 0);
  if (!known.some((roomId) => deps.roster.isJoined(roomId, userId))) {
    if (known.length === rooms.length) throw forbidden('You are in none of the rooms whose members may join');
    throw unableToAuthoriseJoin('This server is not in all of the rooms whose members may join');
  }
  for (const candidate of deps.roster.usersOfServerIn(draft.roomId, deps.serverName)) {
    if (mayAct(candidate, 'invite', { state, version: draft.version })) return { [authorisedViaKey]: candidate };
  }
  throw unableToGrantJoin('Nobody on this server may let others join');
}

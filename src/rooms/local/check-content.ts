import { badAlias, badJson, forbidden, invalidParam } from '../../matrix/errors.ts';
import { isRoomAlias, isUserId, type RoomAlias, type RoomId, type UserId } from '../../matrix/ids.ts';
import type { JsonObject } from '../../matrix/pdu.ts';
import { readCreators } from '../core/creators.ts';
import type { RoomsCore } from '../core/deps.ts';
import type { NewEvent } from '../core/room-draft.ts';
import { membershipOf } from '../state-reads.ts';
import { checkLevelShapes } from './level-shapes.ts';

type CheckDeps = Pick<RoomsCore, 'storage' | 'ports' | 'noticesSender'>;

/**
 * What a client's own event must fulfil beyond the rules that hold for everybody's. May ask another server where an alias
 * leads, so it runs outside the room's lock.
 */
export async function checkLocalContent(deps: CheckDeps, event: NewEvent & { roomId: RoomId }): Promise<void> {
  if (event.stateKey === undefined) return;
  switch (event.type) {
    case 'm.room.create':
      throw badJson('A room is created once');
    case 'm.room.power_levels':
      return checkPowerLevels(deps, event);
    case 'm.room.canonical_alias':
      if (event.stateKey === '') await checkCanonicalAlias(deps, event.roomId, event.content);
      return;
    case 'm.room.member':
      return checkMember(deps, event);
    default:
      return;
  }
}

function checkMember(deps: CheckDeps, { stateKey, content }: NewEvent): void {
  if (!isUserId(stateKey)) throw badJson('The state key of a member event is a user id');
  if (content.membership !== membershipOf(content)) throw badJson('There is no such membership');
  if (content.membership === 'invite') checkInvited(deps, stateKey);
}

/** Who speaks for the server is in the rooms that it makes, and in no others. */
export function checkInvited({ noticesSender }: Pick<RoomsCore, 'noticesSender'>, target: UserId): void {
  if (target === noticesSender) throw forbidden('This user speaks for the server and cannot be invited');
}

async function checkPowerLevels(deps: CheckDeps, { roomId, content }: NewEvent & { roomId: RoomId }): Promise<void> {
  const before = await deps.storage.state.findCurrent(roomId, 'm.room.power_levels', '');
  checkLevelShapes(content, before?.event.pdu.content);
  const creators = await readCreators(deps, roomId);
  if (Object.keys(content.users ?? {}).some((userId) => creators.privileged.has(userId))) {
    throw badJson("'users' names a creator of the room, whose power is not a number");
  }
}

/**
 * "Servers … should ensure that the aliases in alias and alt_aliases are well-formed (M_INVALID_PARAM) and point to the room
 * (M_BAD_ALIAS)". Those that the event named before are taken as they are.
 */
async function checkCanonicalAlias(deps: CheckDeps, roomId: RoomId, content: JsonObject): Promise<void> {
  const before = await deps.storage.state.findCurrent(roomId, 'm.room.canonical_alias', '');
  const known = new Set(before ? knownAliases(before.event.pdu.content) : []);
  for (const alias of listAliases(content)) {
    if (!isRoomAlias(alias)) throw invalidParam(`'${alias}' is not a room alias`);
    if (known.has(alias)) continue;
    const target = await deps.ports.resolveAlias(alias);
    if (target?.roomId !== roomId) throw badAlias(`The alias ${alias} does not lead to this room`);
  }
}

/** Whatever stands in the room already, other servers' mistakes included. */
function knownAliases({ alias, alt_aliases: others }: JsonObject): unknown[] {
  return [alias, ...(Array.isArray(others) ? others : [])];
}

const aliasesMax = 50;

function listAliases(content: JsonObject): (string | RoomAlias)[] {
  const { alias, alt_aliases: others } = content;
  if (others !== undefined && others !== null && !Array.isArray(others)) throw badJson("'alt_aliases' is not a list");
  const all: unknown[] = [...(alias === undefined || alias === null || alias === '' ? [] : [alias]), ...(others ?? [])];
  if (all.length > aliasesMax) throw badJson(`A room names at most ${aliasesMax} aliases`);
  return all.map((entry) => {
    if (typeof entry !== 'string') throw badJson('An alias is a string');
    return entry;
  });
}

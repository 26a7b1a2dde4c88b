import { isUserId } from '../../matrix/ids.ts';
import type { JsonObject } from '../../matrix/pdu.ts';
import type { RoomVersion } from '../../matrix/room-versions.ts';
import { powerLevelsContentIn } from '../auth-state.ts';
import { isObject, objectMember, ownMember } from '../members.ts';
import { creatorsOf, levelAt, readPowerLevel } from '../power.ts';
import { type AuthVerdict, allow, reject } from '../verdict.ts';
import { checkPowerLevelChange, guardedMaps, singleLevels } from './power-level-change.ts';
import type { AuthCase } from './rule.ts';

/** 9. If type is m.room.power_levels. `power` is the sender's level. */
export function checkPowerLevels(subject: AuthCase, power: number): AuthVerdict {
  const { create, event, state, version } = subject;
  const { content, sender } = event.pdu;
  const fault = findShapeFault(content, version);
  if (fault !== undefined) return reject(fault);
  // v12, 10.4. If the users property in content contains the sender of the m.room.create event or any of the additional_creators
  // array (if present) from the content of the m.room.create event, reject.
  if (version.privilegedCreators) {
    const users = objectMember(content, 'users');
    for (const creator of creatorsOf(create, version)) {
      if (Object.hasOwn(users, creator)) return reject('a creator cannot be given a power level');
    }
  }
  // 9.4. If there is no previous m.room.power_levels event in the room, allow.
  const before = powerLevelsContentIn(state);
  if (before === undefined) return allow;
  // 9.5 to 9.10.
  return checkPowerLevelChange({ before, after: content, version }, sender, power);
}

/**
 * Which of rules 9.1 to 9.3 the content breaks. The rules before v10 speak of `users` alone ("integers (or a string that is an
 * integer)"), but of all levels the schema says what they may be, and "values outside the range … cause the powerlevel event to be
 * rejected": so what cannot be read as a level is refused in every version, as ruma and Dendrite do it.
 */
function findShapeFault(content: JsonObject, version: RoomVersion): string | undefined {
  // 9.1. If any of the properties users_default, events_default, state_default, ban, redact, kick, or invite in content are present
  // and not an integer, reject.
  for (const key of singleLevels) {
    if (Object.hasOwn(content, key) && levelAt(content, key, version) === undefined) return `${key} is not an integer`;
  }
  // 9.2. If either of the properties events or notifications (v6) in content are present and not an object with values that are
  // integers, reject.
  for (const key of guardedMaps(version)) {
    const levels = ownMember(content, key);
    if (levels !== undefined && !isLevels(levels, version)) return `${key} is not an object of integers`;
  }
  // 9.3. If the users property in content is not an object with keys that are valid user IDs with values that are integers, reject.
  const users = ownMember(content, 'users');
  if (users !== undefined && !(isLevels(users, version) && Object.keys(users).every(isUserId))) {
    return 'users is not an object of integers by user id';
  }
  return undefined;
}

function isLevels(value: unknown, version: RoomVersion): value is JsonObject {
  return isObject(value) && Object.values(value).every((level) => readPowerLevel(level, version) !== undefined);
}

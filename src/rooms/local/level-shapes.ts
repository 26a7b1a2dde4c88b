import { isPowerLevel } from '../../engine/power.ts';
import { badJson } from '../../matrix/errors.ts';
import { isUserId } from '../../matrix/ids.ts';
import type { JsonObject } from '../../matrix/pdu.ts';

const singleLevels = ['users_default', 'events_default', 'state_default', 'ban', 'redact', 'kick', 'invite'];
const levelMaps = ['users', 'events', 'notifications'];

/**
 * The levels that a client sets are integers in every room version: where texts count as levels, "a homeserver should take reasonable
 * precautions to prevent users from sending these". Those that stand in the room already (`before`) may stay as they are, so that one
 * of them does not keep a client from changing the others. Throws M_BAD_JSON: levels of the wrong kind are a mistake in the request (400),
 * while levels that the sender may not set are refused (403).
 */
export function checkLevelShapes(content: JsonObject, before: JsonObject = {}): void {
  for (const key of singleLevels) {
    if (!isGood(content, before, key)) throw badJson(`'${key}' is not an integer`);
  }
  for (const key of levelMaps) {
    const levels = content[key];
    if (levels === undefined) continue;
    if (!isMap(levels)) throw badJson(`'${key}' is not an object`);
    const known = isMap(before[key]) ? before[key] : {};
    for (const name of Object.keys(levels)) {
      if (!isGood(levels, known, name)) throw badJson(`'${key}' holds a level that is not an integer`);
    }
  }
  if (!Object.keys(content.users ?? {}).every(isUserId)) throw badJson("'users' holds a key that is not a user id");
}

/** A text is the only level of another kind that a room can hold. */
function isGood(levels: JsonObject, before: JsonObject, key: string): boolean {
  const level = Object.hasOwn(levels, key) ? levels[key] : undefined;
  if (level === undefined || isPowerLevel(level)) return true;
  return typeof level === 'string' && Object.hasOwn(before, key) && before[key] === level;
}

function isMap(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

import { LooseNumber } from '../base/json/loose-number.ts';
import type { JsonObject } from '../matrix/pdu.ts';

/**
 * A member of an object that somebody else wrote: its own ones only, so that `constructor` or `__proto__` as a type or a user
 * id finds what the text said and nothing that JavaScript brought.
 */
export function ownMember(object: JsonObject, key: string): unknown {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof LooseNumber);
}

/** The member, if it is an object; else an empty one. */
export function objectMember(object: JsonObject, key: string): JsonObject {
  const value = ownMember(object, key);
  return isObject(value) ? value : {};
}

/** A shallow copy without some members. Entries, not assignment: an own `__proto__` stays one. */
export function without(object: JsonObject, keys: ReadonlySet<string>): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([key]) => !keys.has(key)));
}

/** A shallow copy in which `members` replace those of the same names. */
export function withMembers(object: JsonObject, members: JsonObject): JsonObject {
  return Object.fromEntries([...Object.entries(object), ...Object.entries(members)]);
}

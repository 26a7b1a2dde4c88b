import { badJson, forbidden, unknown } from '../matrix/errors.ts';
import { isUserId, serverOfUser, type UserId, userIdOf } from '../matrix/ids.ts';
import type { JsonObject } from '../matrix/pdu.ts';
import type { ServerName } from '../matrix/server-name.ts';

/**
 * The user that a body names, as an `identifier` (client-server API, "Identifier types") or in the older `user`; undefined
 * when it names nobody. Throws for identifiers of other types: "In the case that the homeserver does not know about the
 * supplied 3PID, the homeserver must respond with 403 Forbidden."
 */
export function parseIdentifier(body: JsonObject): string | undefined {
  const { identifier } = body;
  if (identifier === undefined || identifier === null) return textIn(body.user, 'user');
  if (typeof identifier !== 'object' || Array.isArray(identifier)) throw badJson("'identifier' is not an object");
  const { type, user } = identifier as JsonObject;
  if (type === 'm.id.thirdparty' || type === 'm.id.phone') throw forbidden('No such address is known');
  if (type !== 'm.id.user') throw unknown('This type of identifier is not known');
  return textIn(user, 'identifier.user');
}

function textIn(value: unknown, field: string): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'string') throw badJson(`'${field}' is not a string`);
  return value;
}

/**
 * Usernames of this server are in lower case; capitals that a person types mean the same. ASCII only: what else has a
 * lower case is refused by the grammar, and some of it would fall onto ASCII letters.
 */
export function downcase(username: string): string {
  return username.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

/** The local user whom a full user id or a localpart names; undefined for other servers' users and impossible names. */
export function resolveLocalUser(user: string, serverName: ServerName): UserId | undefined {
  if (!user.startsWith('@')) {
    const userId = userIdOf(downcase(user), serverName);
    return isUserId(userId) && !user.includes(':') ? userId : undefined;
  }
  if (!isUserId(user) || serverOfUser(user) !== serverName) return undefined;
  return userIdOf(downcase(user.slice(1, user.indexOf(':'))), serverName);
}

import { isServerName, type ServerName } from './server-name.ts';

/** `@localpart:server`, at most 255 bytes. */
export type UserId = string & { readonly __brand: 'UserId' };
/** `!opaque:server`, or `!hash` from room version 12 on. */
export type RoomId = string & { readonly __brand: 'RoomId' };
/** `$opaque:server` (versions 1, 2) or `$hash`. */
export type EventId = string & { readonly __brand: 'EventId' };
/** `#localpart:server`. */
export type RoomAlias = string & { readonly __brand: 'RoomAlias' };
export type DeviceId = string & { readonly __brand: 'DeviceId' };

/** Where something is kept by device: that of an application service that acts without one. No device has this id. */
export const noDevice = '' as DeviceId;

const idBytesMax = 255;

function isIdWithSigil(value: unknown, sigil: string): value is string {
  return (
    typeof value === 'string' &&
    value.length > 1 &&
    value[0] === sigil &&
    value.length <= idBytesMax &&
    Buffer.byteLength(value) <= idBytesMax &&
    !value.includes('\0')
  );
}

/** The part of an id behind its first colon; undefined where there is none or it is not a server name. */
function findServerPart(id: string): ServerName | undefined {
  const colon = id.indexOf(':');
  if (colon === -1) return undefined;
  const server = id.slice(colon + 1);
  return isServerName(server) ? server : undefined;
}

/**
 * The historical grammar, as events of other servers may carry it: any localpart, a valid server name
 * (appendices, "Historical User IDs").
 */
export function isUserId(value: unknown): value is UserId {
  return isIdWithSigil(value, '@') && findServerPart(value) !== undefined;
}

/** Both forms: `!opaque:server` and the `!hash` of room version 12. */
export function isRoomId(value: unknown): value is RoomId {
  if (!isIdWithSigil(value, '!')) return false;
  if (value.includes(':')) return findServerPart(value) !== undefined;
  return /^![A-Za-z0-9_-]{43}$/.test(value);
}

/** Any format that a room version may use. */
export function isEventId(value: unknown): value is EventId {
  return isIdWithSigil(value, '$');
}

export function isRoomAlias(value: unknown): value is RoomAlias {
  return isIdWithSigil(value, '#') && findServerPart(value) !== undefined;
}

/** The grammar that new users of this server must keep to (appendices, "User Identifiers"). */
export function isLocalpartForNewUser(localpart: string): boolean {
  return /^[a-z0-9._=\-/+]+$/.test(localpart);
}

/** `@localpart:server` of parts that were checked before. */
export function userIdOf(localpart: string, server: ServerName): UserId {
  return `@${localpart}:${server}` as UserId;
}

/** The server of a user id. Total, because a UserId was parsed before. */
export function serverOfUser(userId: UserId): ServerName {
  return userId.slice(userId.indexOf(':') + 1) as ServerName;
}

export function localpartOf(userId: UserId): string {
  return userId.slice(1, userId.indexOf(':'));
}

export function serverOfAlias(alias: RoomAlias): ServerName {
  return alias.slice(alias.indexOf(':') + 1) as ServerName;
}

/** The server in an id that a server gave (room versions 1 and 2); undefined for the ids that are hashes. */
export function findServerOfEventId(eventId: EventId): ServerName | undefined {
  return findServerPart(eventId);
}

/** The server named in a room id; undefined for the ids of version 12, which name none. Never says who is in the room. */
export function findServerOfRoom(roomId: RoomId): ServerName | undefined {
  return findServerPart(roomId);
}

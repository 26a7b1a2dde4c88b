import { isObject } from '../engine/members.ts';
import { badJson } from '../matrix/errors.ts';
import { isRoomId, type RoomId } from '../matrix/ids.ts';
import type { RoomKey } from '../storage/contract/key-backups.ts';

/** Of one request. Clients send a few hundred. */
const keysAtOnceMax = 20_000;
const sessionIdLengthMax = 255;

/**
 * Whether a key takes the place of the one that there is (client-server API, "Backup algorithm", "replace it with the new key based on the key
 * metadata"): "if the keys have different values for `is_verified`, then it will keep the key that has `is_verified` set to `true`; if they have
 * the same values … the key with a lower `first_message_index`; and finally … the key with a lower `forwarded_count`".
 */
export function replacesKey(key: RoomKey, before: RoomKey): boolean {
  if (key.isVerified !== before.isVerified) return key.isVerified;
  if (key.firstMessageIndex !== before.firstMessageIndex) return key.firstMessageIndex < before.firstMessageIndex;
  return key.forwardedCount < before.forwardedCount;
}

/** `{ rooms: { room: { sessions: { session: key } } } }`. Throws M_BAD_JSON. */
export function parseRooms(rooms: unknown): RoomKey[] {
  const keys = entriesOf(rooms, 'rooms').flatMap(([roomId, room]) => {
    if (!isRoomId(roomId)) throw badJson(`'rooms': names what is no room id`);
    return parseSessions(roomId, entryOf(room, 'sessions'));
  });
  if (keys.length > keysAtOnceMax) throw badJson(`One request brings at most ${keysAtOnceMax} keys`);
  return keys;
}

/** `{ session: key }` of a room. Throws M_BAD_JSON. */
export function parseSessions(roomId: RoomId, sessions: unknown): RoomKey[] {
  const entries = entriesOf(sessions, 'sessions');
  if (entries.length > keysAtOnceMax) throw badJson(`One request brings at most ${keysAtOnceMax} keys`);
  return entries.map(([sessionId, key]) => parseKey(roomId, sessionId, key));
}

/** One `KeyBackupData`. Throws M_BAD_JSON. */
export function parseKey(roomId: RoomId, sessionId: string, key: unknown): RoomKey {
  if (sessionId === '' || sessionId.length > sessionIdLengthMax) throw badJson('A session id has 1 to 255 characters');
  if (!isObject(key)) throw badJson('A key is an object');
  const { first_message_index: firstMessageIndex, forwarded_count: forwardedCount, is_verified: isVerified } = key;
  if (!isCount(firstMessageIndex)) throw badJson(`'first_message_index': is not a number of messages`);
  if (!isCount(forwardedCount)) throw badJson(`'forwarded_count': is not a number`);
  if (typeof isVerified !== 'boolean') throw badJson(`'is_verified': is neither true nor false`);
  const data = key.session_data;
  if (!isObject(data)) throw badJson(`'session_data': is not an object`);
  return { roomId, sessionId, firstMessageIndex, forwardedCount, isVerified, sessionData: JSON.stringify(data) };
}

/** As clients get it. */
export function encodeKey(key: RoomKey): string {
  return (
    `{"first_message_index":${key.firstMessageIndex},"forwarded_count":${key.forwardedCount},` +
    `"is_verified":${key.isVerified},"session_data":${key.sessionData}}`
  );
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function entriesOf(value: unknown, name: string): [string, unknown][] {
  if (!isObject(value)) throw badJson(`'${name}': is not an object`);
  return Object.entries(value);
}

function entryOf(value: unknown, name: string): unknown {
  if (!isObject(value)) throw badJson('A room is an object with its sessions');
  return value[name];
}

import { CanonicalJsonError, canonicalJson } from '../../base/canonical-json.ts';
import { eventTypes } from '../../matrix/event-types.ts';
import { findServerOfEventId, isEventId, isRoomId, isUserId, type RoomId } from '../../matrix/ids.ts';
import {
  authEventsMax,
  type JsonObject,
  type Pdu,
  pduBytesMax,
  prevEventsMax,
  type RoomEvent,
} from '../../matrix/pdu.ts';
import type { RoomVersion } from '../../matrix/room-versions.ts';
import { isObject, ownMember } from '../members.ts';
import { eventIdOf, roomIdOfCreate } from './event-id.ts';

/** Client-server API, "Size limits": `type` and `state_key` MUST NOT exceed 255 bytes; older room versions count otherwise. */
export const keyLengthMax = 255;

/** too_large: over one of the size limits. format: not an event of this room version. The reason is for logs and error messages. */
export interface Malformed {
  readonly outcome: 'malformed';
  readonly problem: 'format' | 'too_large';
  readonly reason: string;
}

export type ParsedPdu = { readonly outcome: 'parsed'; readonly event: RoomEvent } | Malformed;

/**
 * Checks that `json` is an event of this room version (check 1 of "Checks performed on receipt of a PDU"), and works out its id and
 * room. Never throws, keeps unknown fields, changes nothing: the PDU is the object given. Hashes and signatures are checked
 * elsewhere.
 *
 * `looseNumbers` says that the event's raw text had a number that is no strict integer (`hasLooseNumbers`), which the value
 * alone no longer shows: "Servers MUST strictly enforce the JSON format".
 */
export function parsePdu(json: unknown, version: RoomVersion, looseNumbers = false): ParsedPdu {
  if (!isObject(json)) return malformed('the event is not an object');
  if (looseNumbers) return malformed('a number is not written as an integer');
  const fault = findSizeFault(json) ?? findFault(json, version);
  if (fault) return fault;
  // Every field of the type was checked above.
  const pdu = json as Pdu;
  const eventId = eventIdOf(pdu, version);
  const roomId = pdu.room_id ?? roomIdOfCreate(eventId);
  return { outcome: 'parsed', event: { eventId, roomId, roomVersion: version.id, pdu } };
}

/**
 * What stands in `room_id` of a received PDU, to find its room version by; undefined where there is no room id. The create event of
 * room version 12 has none: `content.room_version` says what it is.
 */
export function findRoomIdOfPdu(json: unknown): RoomId | undefined {
  const roomId = isObject(json) ? ownMember(json, 'room_id') : undefined;
  return isRoomId(roomId) ? roomId : undefined;
}

function malformed(reason: string, problem: Malformed['problem'] = 'format'): Malformed {
  return { outcome: 'malformed', problem, reason };
}

/** "The complete event MUST NOT be larger than 65536 bytes, including any signatures, and encoded as Canonical JSON." */
function findSizeFault(json: JsonObject): Malformed | undefined {
  let text: string;
  try {
    text = canonicalJson(json);
  } catch (error) {
    if (error instanceof CanonicalJsonError) return malformed(error.message);
    throw error;
  }
  if (text.length > pduBytesMax || Buffer.byteLength(text) > pduBytesMax) {
    return malformed(`the event is larger than ${pduBytesMax} bytes`, 'too_large');
  }
  return undefined;
}

function findFault(json: JsonObject, version: RoomVersion): Malformed | undefined {
  return (
    findKeyFault(json, { key: 'type', required: true }, version) ??
    findKeyFault(json, { key: 'state_key', required: false }, version) ??
    findRoomIdFault(json, version) ??
    findFieldFault(json) ??
    findIdFault(json, version) ??
    findReferencesFault(json, version, { key: 'prev_events', max: prevEventsMax }) ??
    findReferencesFault(json, version, { key: 'auth_events', max: authEventsMax })
  );
}

function findKeyFault(
  json: JsonObject,
  { key, required }: { key: 'type' | 'state_key'; required: boolean },
  version: RoomVersion,
): Malformed | undefined {
  const value = ownMember(json, key);
  if (value === undefined && !required) return undefined;
  if (typeof value !== 'string') return malformed(`${key} is not a string`);
  const length = version.keyLengthIn === 'bytes' ? Buffer.byteLength(value) : countCodePoints(value);
  if (length > keyLengthMax)
    return malformed(`${key} is longer than ${keyLengthMax} ${version.keyLengthIn}`, 'too_large');
  return undefined;
}

/** Only as far as it matters: a code point has at most two code units. */
function countCodePoints(text: string): number {
  return text.length > 2 * keyLengthMax ? text.length : [...text].length;
}

function findRoomIdFault(json: JsonObject, version: RoomVersion): Malformed | undefined {
  const roomId = ownMember(json, 'room_id');
  // Room version 12: "Room identifier. Omitted from m.room.create events."
  if (version.roomIdFormat === 'create_hash' && json.type === eventTypes.create && json.state_key === '') {
    return roomId === undefined ? undefined : malformed('the create event has a room_id');
  }
  return isRoomId(roomId) ? undefined : malformed('room_id is not a room id');
}

function findFieldFault(json: JsonObject): Malformed | undefined {
  if (!isUserId(ownMember(json, 'sender'))) return malformed('sender is not a user id');
  if (!isObject(ownMember(json, 'content'))) return malformed('content is not an object');
  if (!Number.isSafeInteger(ownMember(json, 'origin_server_ts')))
    return malformed('origin_server_ts is not an integer');
  const depth = ownMember(json, 'depth');
  if (!Number.isSafeInteger(depth) || Number(depth) < 0) return malformed('depth is not an integer from 0 on');
  const hashes = ownMember(json, 'hashes');
  if (!isObject(hashes) || typeof ownMember(hashes, 'sha256') !== 'string') return malformed('hashes has no sha256');
  if (!isSignatures(ownMember(json, 'signatures')))
    return malformed('signatures is not an object of objects of strings');
  const unsigned = ownMember(json, 'unsigned');
  return unsigned === undefined || isObject(unsigned) ? undefined : malformed('unsigned is not an object');
}

function isSignatures(value: unknown): boolean {
  if (!isObject(value)) return false;
  return Object.values(value).every(
    (ofServer) => isObject(ofServer) && Object.values(ofServer).every((signature) => typeof signature === 'string'),
  );
}

/** Room versions 1 and 2: "Event IDs in this room version have the format `$opaque_id:domain`". */
function findIdFault(json: JsonObject, version: RoomVersion): Malformed | undefined {
  if (version.eventIds !== 'given') return undefined;
  const id = ownMember(json, 'event_id');
  return isEventId(id) && findServerOfEventId(id) ? undefined : malformed('event_id is not the id of an event');
}

function findReferencesFault(
  json: JsonObject,
  version: RoomVersion,
  { key, max }: { key: 'prev_events' | 'auth_events'; max: number },
): Malformed | undefined {
  const references = ownMember(json, key);
  const isReference = version.eventIds === 'given' ? isPairWithId : isEventId;
  if (!Array.isArray(references) || !references.every(isReference)) return malformed(`${key} is not a list of events`);
  return references.length > max ? malformed(`${key} names more than ${max} events`) : undefined;
}

/** What stands beside the id is read by nobody, so nobody refuses a room for it. */
function isPairWithId(value: unknown): boolean {
  return Array.isArray(value) && value.length === 2 && isEventId(value[0]);
}

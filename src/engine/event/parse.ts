import { CanonicalJsonError, canonicalMembers, joinMembers, sizeOfMembers } from '../../base/json/canonical-json.ts';
import { LooseNumber } from '../../base/json/loose-number.ts';
import { eventTypes } from '../../matrix/event-types.ts';
import { findServerOfRoom, isRoomId, isUserId, type RoomId } from '../../matrix/ids.ts';
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
import { eventIdOf, isEventIdOf, prepareSignedText, roomIdOfCreate } from './event-id.ts';
import { keepForms } from './forms.ts';
import { isContentHashOf } from './hash.ts';

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
 * elsewhere. What came from elsewhere must have been read exactly (`parseExactJson`): from room version 6 on "servers MUST strictly
 * enforce the JSON format", and before, the hashes cover numbers as they were written.
 */
export function parsePdu(json: unknown, version: RoomVersion): ParsedPdu {
  return parse(json, version, prepareSignedText);
}

/**
 * The same of an event from elsewhere that nobody else holds: it is frozen, and what its canonical form tells of it is kept beside it
 * (`event/forms`). keepsText: that form, too, for whoever stores it soon.
 */
export function parseReceivedPdu(
  json: unknown,
  version: RoomVersion,
  { keepsText }: { readonly keepsText: boolean },
): ParsedPdu {
  return parse(json, version, (pdu, members) => {
    prepareSignedText(pdu, members, version);
    const whole = keepsText ? joinMembers(members) : undefined;
    keepForms(pdu, { whole, isContentHashValid: isContentHashOf(members, pdu.hashes.sha256) });
  });
}

type Members = ReadonlyMap<string, string>;

function parse(
  json: unknown,
  version: RoomVersion,
  keep: (pdu: Pdu, members: Members, version: RoomVersion) => void,
): ParsedPdu {
  if (!isObject(json)) return malformed('the event is not an object');
  const members = readMembers(json, version);
  if (!(members instanceof Map)) return members;
  const fault = findSizeFault(members) ?? findFault(json, version);
  if (fault) return fault;
  // Every field of the type was checked above.
  const pdu = json as Pdu;
  keep(pdu, members, version);
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

/** The canonical form, or why there is none. */
function readMembers(json: JsonObject, version: RoomVersion): Map<string, string> | Malformed {
  try {
    return canonicalMembers(json, { strict: version.strictIntegers });
  } catch (error) {
    if (error instanceof CanonicalJsonError) return malformed(error.message);
    throw error;
  }
}

/** "The complete event MUST NOT be larger than 65536 bytes, including any signatures, and encoded as Canonical JSON." */
function findSizeFault(members: Members): Malformed | undefined {
  return sizeOfMembers(members) > pduBytesMax
    ? malformed(`the event is larger than ${pduBytesMax} bytes`, 'too_large')
    : undefined;
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
  if (!isRoomId(roomId)) return malformed('room_id is not a room id');
  const isWellNamed = version.roomIdFormat === 'opaque' || findServerOfRoom(roomId) === undefined;
  return isWellNamed ? undefined : malformed('room_id does not name a create event');
}

function findFieldFault(json: JsonObject): Malformed | undefined {
  if (!isUserId(ownMember(json, 'sender'))) return malformed('sender is not a user id');
  if (!isObject(ownMember(json, 'content'))) return malformed('content is not an object');
  if (!isInteger(ownMember(json, 'origin_server_ts'))) return malformed('origin_server_ts is not an integer');
  const depth = ownMember(json, 'depth');
  if (!isInteger(depth) || Number(depth) < 0) return malformed('depth is not an integer from 0 on');
  const hashes = ownMember(json, 'hashes');
  if (!isObject(hashes) || typeof ownMember(hashes, 'sha256') !== 'string') return malformed('hashes has no sha256');
  if (!isSignatures(ownMember(json, 'signatures')))
    return malformed('signatures is not an object of objects of strings');
  const unsigned = ownMember(json, 'unsigned');
  return unsigned === undefined || isObject(unsigned) ? undefined : malformed('unsigned is not an object');
}

/** Of 64 bits where the room version lets it through: "the maximum value for an integer (2^63 - 1)". */
function isInteger(value: unknown): value is number | LooseNumber {
  if (!(value instanceof LooseNumber)) return Number.isSafeInteger(value);
  return value.isInteger && BigInt.asIntN(64, BigInt(value.text)) === BigInt(value.text);
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
  return isEventIdOf(ownMember(json, 'event_id'), version)
    ? undefined
    : malformed('event_id is not the id of an event');
}

function findReferencesFault(
  json: JsonObject,
  version: RoomVersion,
  { key, max }: { key: 'prev_events' | 'auth_events'; max: number },
): Malformed | undefined {
  const references = ownMember(json, key);
  if (!Array.isArray(references)) return malformed(`${key} is not a list`);
  if (!references.every((value) => isReference(value, version))) return malformed(`${key} names what is no event`);
  return references.length > max ? malformed(`${key} names more than ${max} events`) : undefined;
}

/** An event that names what cannot be an event's id could never be placed. */
function isReference(value: unknown, version: RoomVersion): boolean {
  if (version.eventIds !== 'given') return isEventIdOf(value, version);
  // What stands beside the id is read by nobody, so nobody refuses a room for it.
  return Array.isArray(value) && value.length === 2 && isEventIdOf(value[0], version);
}

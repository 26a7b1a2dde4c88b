import { encodeBase64Url } from '../../base/base64.ts';
import { canonicalJson } from '../../base/canonical-json.ts';
import type { EventId, RoomId } from '../../matrix/ids.ts';
import type { JsonObject } from '../../matrix/pdu.ts';
import type { RoomVersion } from '../../matrix/room-versions.ts';
import { without } from '../members.ts';
import { sha256 } from './hash.ts';
import { redactJson } from './redact.ts';

const notInReferenceHash: ReadonlySet<string> = new Set(['signatures', 'unsigned']);

/**
 * The *reference hash*: over the redacted event without `signatures` and `unsigned` (server-server API, "Calculating the reference
 * hash for an event"). Throws CanonicalJsonError where there is no canonical form.
 */
export function referenceHash(event: Readonly<JsonObject>, version: RoomVersion): Buffer {
  return sha256(canonicalJson(without(redactJson(event, version), notInReferenceHash)));
}

/** "The event ID is the reference hash of the event encoded using URL-safe unpadded Base64", behind a `$`. */
export function eventIdOf(event: Readonly<JsonObject>, version: RoomVersion): EventId {
  return `$${encodeBase64Url(referenceHash(event, version))}` as EventId;
}

/** Room version 12: "The room ID is the event ID of the event with sigil `!` instead of `$`." */
export function roomIdOfCreate(createEventId: EventId): RoomId {
  return `!${createEventId.slice(1)}` as RoomId;
}

/** The create event that a room id of version 12 names. */
export function createEventIdOfRoom(roomId: RoomId): EventId {
  return `$${roomId.slice(1)}` as EventId;
}

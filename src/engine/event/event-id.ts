import { canonicalJson, joinMembers } from '../../base/json/canonical-json.ts';
import { type EventId, findServerOfEventId, isEventId, type RoomId } from '../../matrix/ids.ts';
import type { EventReference, JsonObject, RoomEvent } from '../../matrix/pdu.ts';
import type { RoomVersion } from '../../matrix/room-versions.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import { without } from '../members.ts';
import { encodedSha256, sha256, urlSafeSha256 } from './hash.ts';
import { redactJson, redactMembers } from './redact.ts';

const notSigned: ReadonlySet<string> = new Set(['signatures', 'unsigned']);

/** By the event, so that what its id and its signatures cover is written once. It goes with the event, which nobody rewrites. */
const signedTexts = new WeakMap<Readonly<JsonObject>, { readonly version: RoomVersion; readonly text: string }>();

/**
 * What the reference hash and the signatures of an event cover: the canonical JSON of the redacted event without `signatures` and
 * `unsigned` (server-server API, "Calculating the reference hash for an event" and "Signing Events"). Throws CanonicalJsonError where
 * there is none.
 */
export function signedTextOf(event: Readonly<JsonObject>, version: RoomVersion): string {
  const known = signedTexts.get(event);
  if (known?.version === version) return known.text;
  const text = canonicalJson(without(redactJson(event, version), notSigned));
  signedTexts.set(event, { version, text });
  return text;
}

/** Works it out from the canonical form of the event's members, for whoever asks for it then. */
export function prepareSignedText(
  event: Readonly<JsonObject>,
  members: ReadonlyMap<string, string>,
  version: RoomVersion,
): void {
  signedTexts.set(event, { version, text: joinMembers(redactMembers(event, members, version), notSigned) });
}

/** The *reference hash*. Throws CanonicalJsonError where there is no canonical form. */
export function referenceHash(event: Readonly<JsonObject>, version: RoomVersion): Buffer {
  return sha256(signedTextOf(event, version));
}

/**
 * Room versions 1 and 2: what the event says, which `parsePdu` has checked. 3: "the reference hash of the event encoded using Unpadded
 * Base64, prefixed with `$`". 4 and later: "encoded using URL-safe unpadded Base64".
 */
export function eventIdOf(event: Readonly<JsonObject>, version: RoomVersion): EventId {
  switch (version.eventIds) {
    case 'given':
      // The same for every caller: the format was checked before.
      return event.event_id as EventId;
    case 'hash':
      return `$${encodedSha256(signedTextOf(event, version))}` as EventId;
    case 'url_safe_hash':
      return `$${urlSafeSha256(signedTextOf(event, version))}` as EventId;
  }
}

const hashForms = { hash: /^\$[A-Za-z0-9+/]{43}$/, url_safe_hash: /^\$[A-Za-z0-9_-]{43}$/ };

/** Whether this is what an event's id looks like in the room version. */
export function isEventIdOf(value: unknown, version: RoomVersion): value is EventId {
  if (!isEventId(value)) return false;
  return version.eventIds === 'given'
    ? findServerOfEventId(value) !== undefined
    : hashForms[version.eventIds].test(value);
}

/**
 * The id of a new event where the server that makes it chooses one, before it is hashed and signed: a hash of the event itself, so that
 * nothing random is needed and no two events of ours share one. "`domain` is the server name of the homeserver which created" it.
 */
export function newGivenId(event: Readonly<JsonObject>, server: ServerName): EventId {
  return `$${urlSafeSha256(canonicalJson(event))}:${server}` as EventId;
}

/** How a new event names this one in `prev_events` and `auth_events`. The same before and after a redaction of it. */
export function referenceTo(event: RoomEvent, version: RoomVersion): EventReference {
  if (version.eventIds !== 'given') return event.eventId;
  return [event.eventId, { sha256: encodedSha256(signedTextOf(event.pdu, version)) }];
}

/**
 * Whether an event that came now is the one that is known under its id, redacted or not. An id that is a hash leaves no doubt; "servers receive
 * multiple events with the same ID in either the same or different rooms" in room versions 1 and 2.
 */
export function isSameEvent(known: RoomEvent, event: RoomEvent, version: RoomVersion): boolean {
  if (version.eventIds !== 'given') return known.eventId === event.eventId;
  return known.roomId === event.roomId && referenceHash(known.pdu, version).equals(referenceHash(event.pdu, version));
}

/** Room version 12: "The room ID is the event ID of the event with sigil `!` instead of `$`." */
export function roomIdOfCreate(createEventId: EventId): RoomId {
  return `!${createEventId.slice(1)}` as RoomId;
}

/** The create event that a room id of version 12 names. */
export function createEventIdOfRoom(roomId: RoomId): EventId {
  return `$${roomId.slice(1)}` as EventId;
}

import { CanonicalJsonError } from '../../base/json/canonical-json.ts';
import { type EventId, isUserId, type RoomId, serverOfUser, type UserId } from '../../matrix/ids.ts';
import type { EventReference, JsonObject, Pdu, RoomEvent, Signatures } from '../../matrix/pdu.ts';
import { getRoomVersion, type RoomVersion } from '../../matrix/room-versions.ts';
import { objectMember, withMembers, without } from '../members.ts';
import { newGivenId } from './event-id.ts';
import { encodedContentHash } from './hash.ts';
import { type ParsedPdu, parsePdu } from './parse.ts';
import { redactJson } from './redact.ts';

/** What a new event says before it is hashed and signed. */
export interface EventTemplate {
  type: string;
  sender: UserId;
  /** Left out for the create event of a room whose id is its hash. */
  room_id?: RoomId;
  state_key?: string;
  content: JsonObject;
  depth: number;
  origin_server_ts: number;
  /** Made by `referenceTo`. */
  prev_events: readonly EventReference[];
  auth_events: readonly EventReference[];
}

/** Adds this server's signature to an object: `signJson` of signing with the signer given. */
export type SignObject = (object: JsonObject) => JsonObject & { signatures: Signatures };

/**
 * A new event, hashed, signed and checked like any other (server-server API, "Adding hashes and signatures to outgoing events").
 * Malformed where the client's content has no canonical form or the event is too large: never throws for what stands in it.
 */
export function buildEvent(template: EventTemplate, version: RoomVersion, sign: SignObject): ParsedPdu {
  return completeEvent({ ...template }, version, sign);
}

/**
 * Names the target of a redaction at the place where the room version has it: an `m.room.redaction` template of
 * `content` and, in older versions, a `redacts` beside it.
 */
export function withRedacts<T extends { content: JsonObject }>(template: T, redacts: EventId, version: RoomVersion): T {
  if (version.redactsIn === 'event') return { ...template, redacts };
  return { ...template, content: withMembers(template.content, { redacts }) };
}

/**
 * The same from the template that another server gave (make_join, make_leave): hashes and signs all of it, whatever fields it has.
 * What must not be believed (`hashes`, `signatures`, `event_id`, `unsigned`) is thrown away first. The caller has checked that it is
 * the event it asked for.
 */
export function completeEvent(template: JsonObject, version: RoomVersion, sign: SignObject): ParsedPdu {
  try {
    const bare = withNewId(without(template, notFromTemplates), version);
    const hashed = withMembers(bare, { hashes: { sha256: encodedContentHash(bare) } });
    const { signatures } = sign(redactJson(hashed, version));
    // What others may still do in older rooms, we do not.
    return parsePdu(withMembers(hashed, { signatures }), { ...version, keyLengthIn: 'bytes' });
  } catch (error) {
    if (!(error instanceof CanonicalJsonError)) throw error;
    return { outcome: 'malformed', problem: 'format', reason: error.message };
  }
}

/** "It … replaces the `event_id` with its own": where ids are given, the server that signs the event chooses it. */
function withNewId(bare: JsonObject, version: RoomVersion): JsonObject {
  // What has no sender is refused by the check of the finished event.
  if (version.eventIds !== 'given' || !isUserId(bare.sender)) return bare;
  return withMembers(bare, { event_id: newGivenId(bare, serverOfUser(bare.sender)) });
}

const notFromTemplates: ReadonlySet<string> = new Set(['hashes', 'signatures', 'event_id', 'unsigned']);

/**
 * The event with this server's signature beside those it has: an invite that our user accepted to get, a restricted join that
 * our user vouches for. Its id stays the same.
 */
export function signEvent(event: RoomEvent, sign: SignObject): RoomEvent {
  const { signatures } = sign(redactJson(event.pdu, getRoomVersion(event.roomVersion)));
  return withSignatures(event, signatures);
}

/** The event with further signatures, such as those that the invited server returned. Those that it has win. */
export function withSignatures(event: RoomEvent, added: Signatures): RoomEvent {
  const servers = new Set([...Object.keys(added), ...Object.keys(event.pdu.signatures)]);
  const signatures = Object.fromEntries(
    [...servers].map((server) => [
      server,
      withMembers(objectMember(added, server), objectMember(event.pdu.signatures, server)),
    ]),
  );
  return { ...event, pdu: withMembers(event.pdu, { signatures }) as Pdu };
}

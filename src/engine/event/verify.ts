import { eventTypes, findMembership } from '../../matrix/event-types.ts';
import { findServerOfEventId, isUserId, serverOfUser } from '../../matrix/ids.ts';
import { type JsonObject, originServerTsOf, type Pdu, type RoomEvent } from '../../matrix/pdu.ts';
import type { RoomVersion } from '../../matrix/room-versions.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import { ownMember } from '../members.ts';
import { isContentHashValid } from './hash.ts';
import { redact } from './redact.ts';

/** Member events: the key under which a restricted join names the member of the room who vouches for it. */
export const authorisedViaKey = 'join_authorised_via_users_server';

/**
 * The servers without whose good signature the event is dropped. At most two.
 *
 * "For room versions 3 and later, unless the event is a 3rd party invite, only the signature(s) from the originating server
 * (the server the sender belongs to) are required for verification. Room versions 1 and 2 also require that a signature is present from
 * the domain in the `event_id`, if it differs from the originating server." And rule 4.2 of the room versions from 8 on: "If content has
 * a join_authorised_via_users_server key: if the event is not validly signed by the homeserver of the user ID denoted by the key,
 * reject."
 */
export function listRequiredSigners({ eventId, pdu }: RoomEvent, version: RoomVersion): ServerName[] {
  const signers = new Set<ServerName>();
  if (!isThirdPartyInvite(pdu)) signers.add(serverOfUser(pdu.sender));
  const idGiver = version.eventIds === 'given' ? findServerOfEventId(eventId) : undefined;
  if (idGiver) signers.add(idGiver);
  const authoriser = version.restrictedJoins ? findAuthoriser(pdu) : undefined;
  if (authoriser) signers.add(authoriser);
  return [...signers];
}

/**
 * Whether this invite follows from a third-party invite: "the sender must already match the 3rd party invite, and the server which
 * actually sends the event may be a different server".
 */
export function isThirdPartyInvite(pdu: Readonly<Pdu>): boolean {
  return (
    pdu.type === eventTypes.member &&
    findMembership(pdu.content) === 'invite' &&
    ownMember(pdu.content, 'third_party_invite') !== undefined
  );
}

/**
 * Of joins only: the key decides about nothing else, and to drop the leave of somebody whose client repeats the content of the join
 * would keep them in the room. Synapse and ruma read the rule so.
 */
function findAuthoriser(pdu: Readonly<Pdu>): ServerName | undefined {
  if (pdu.type !== eventTypes.member || findMembership(pdu.content) !== 'join') return undefined;
  const user = ownMember(pdu.content, authorisedViaKey);
  // Anything but a user id fails the authorisation rules.
  return isUserId(user) ? serverOfUser(user) : undefined;
}

/** What the signatures of an event cover, with the signatures: the redacted event. To be given to the key ring. */
export function signedFormOf(pdu: Readonly<Pdu>, version: RoomVersion): JsonObject {
  return redact(pdu, version);
}

/**
 * When the keys that signed an event must have been valid, Unix milliseconds. Room version 5 and later: "servers MUST enforce the
 * `valid_until_ts` property from a key request is at least as large as the `origin_server_ts` for the event being validated." Before,
 * every key counts that its server ever published, which is what time 0 asks for.
 */
export function keysValidAt(pdu: Readonly<Pdu>, version: RoomVersion): number {
  return version.enforcesKeyValidity ? originServerTsOf(pdu) : 0;
}

/** Asks whether `object` carries a good signature of `server` by a key that was valid at `validAtMs` (Unix milliseconds). */
export type VerifyServerSignature = (object: JsonObject, server: ServerName, validAtMs: number) => Promise<boolean>;

/**
 * Check 2 of "Checks performed on receipt of a PDU": the first required server whose good signature is missing; undefined when the
 * event passes.
 */
export async function findMissingSigner(
  event: RoomEvent,
  version: RoomVersion,
  verify: VerifyServerSignature,
): Promise<ServerName | undefined> {
  const signed = signedFormOf(event.pdu, version);
  for (const server of listRequiredSigners(event, version)) {
    if (!(await verify(signed, server, keysValidAt(event.pdu, version)))) return server;
  }
  return undefined;
}

/**
 * Check 3: "If the hash check fails, then it is assumed that this is because we have only been given a redacted version of the
 * event. To enforce this, the receiving server should use the redacted copy it calculated rather than the full copy it received."
 */
export function withTrustedContent(event: RoomEvent, version: RoomVersion): RoomEvent {
  return isContentHashValid(event.pdu) ? event : { ...event, pdu: redact(event.pdu, version) };
}

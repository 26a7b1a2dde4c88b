import { signEvent } from '../../../engine/event/build.ts';
import { parsePdu } from '../../../engine/event/parse.ts';
import { badJson, forbidden, incompatibleRoomVersion, invalidParam, notFound } from '../../../matrix/errors.ts';
import { type EventId, isUserId, type RoomId, serverOfUser, type UserId } from '../../../matrix/ids.ts';
import { authEventIdsOf, type JsonObject, type Pdu, type RoomEvent } from '../../../matrix/pdu.ts';
import { findRoomVersion, getRoomVersion, type RoomVersion } from '../../../matrix/room-versions.ts';
import type { ServerName } from '../../../matrix/server-name.ts';
import type { StoredMembership } from '../../../storage/contract/rooms.ts';
import { acceptEvent } from '../../core/accept-event.ts';
import { askForInvited } from '../../core/ask-for-invited.ts';
import { clientForm } from '../../core/client-form.ts';
import type { RoomsCore } from '../../core/deps.ts';
import { membershipRowOf } from '../../core/member-row.ts';
import { isServerAllowed } from '../../core/server-access.ts';
import { type IncomingEvent, verifyEvents } from '../../core/verify-events.ts';
import { membershipOf } from '../../state-reads.ts';
import { findInvitedVersion } from '../invited-version.ts';
import { isStateLike, strippedStateMax } from '../stripped-events.ts';
import type { ReceivedPdu } from './receive-types.ts';

export interface InviteRequest {
  readonly roomId: RoomId;
  readonly eventId: EventId;
  /** Undefined by the first version of the endpoint. */
  readonly roomVersion: string | undefined;
  readonly event: IncomingEvent;
  readonly strippedState: readonly JsonObject[];
}

/**
 * An invite of one of our users by another server (server-server API, "Inviting to a room"): checked, kept, and given back with our
 * signature. Throws M_INCOMPATIBLE_ROOM_VERSION, M_BAD_JSON, M_INVALID_PARAM, M_FORBIDDEN, M_NOT_FOUND.
 */
export async function receiveInvite(deps: RoomsCore, origin: ServerName, request: InviteRequest): Promise<JsonObject> {
  const { roomId, eventId } = request;
  const version = getInviteVersion(request);
  const parsed = parsePdu(request.event, version);
  if (parsed.outcome === 'malformed') throw badJson(`The invite is not an event: ${parsed.reason}`);
  if (parsed.event.eventId !== eventId || parsed.event.roomId !== roomId) {
    throw invalidParam('The invite is another event than the request says');
  }
  const target = checkIsInvite(deps, parsed.event, origin);
  await checkRoomTakesIt(deps, origin, parsed.event);
  await askForInvited(deps, target);
  const account = await deps.storage.accounts.findAccount(target);
  if (!account || account.deactivatedAtMs !== null) throw notFound('There is no such user here');
  const [event] = await verifyEvents(deps, [parsed.event], version);
  if (!event) throw forbidden('The invite is not signed by your server');
  const signed = signEvent(event, deps.sign);
  const strippedState = request.strippedState.filter(isStateLike).slice(0, strippedStateMax);
  await deps.lock.run(roomId, () => keepInvite(deps, signed, strippedState));
  return signed.pdu;
}

/** "Servers which receive a v1 invite request must assume that the room version is either 1 or 2": their events have the same form. */
function getInviteVersion({ roomVersion, strippedState }: InviteRequest): RoomVersion {
  if (roomVersion === undefined) {
    const named = findInvitedVersion(strippedState) ?? getRoomVersion('1');
    if (named.eventIds !== 'given') throw incompatibleRoomVersion(named.id);
    return named;
  }
  const version = findRoomVersion(roomVersion);
  if (!version) throw incompatibleRoomVersion(roomVersion);
  return version;
}

function checkIsInvite(deps: RoomsCore, { pdu }: RoomEvent, origin: ServerName): UserId {
  if (pdu.type !== 'm.room.member' || membershipOf(pdu.content) !== 'invite') throw invalidParam('This is no invite');
  const target = pdu.state_key;
  if (!isUserId(target) || serverOfUser(target) !== deps.serverName) throw invalidParam('The invited user is not ours');
  if (target === deps.noticesSender) throw forbidden('This user speaks for the server and cannot be invited');
  if (serverOfUser(pdu.sender) !== origin) throw forbidden('The inviting user is not yours');
  return target;
}

/** Where we are in the room ourselves, we know its version and which servers it keeps out. */
async function checkRoomTakesIt(deps: RoomsCore, origin: ServerName, event: RoomEvent): Promise<void> {
  const { roomId, roomVersion } = event;
  if (deps.roster.usersOfServerIn(roomId, deps.serverName).size === 0) return;
  const room = await deps.storage.rooms.find(roomId);
  if (room?.version !== roomVersion) throw invalidParam(`The room is of version ${room?.version}`);
  if (!(await isServerAllowed(deps.storage, roomId, origin))) throw forbidden('Your server is kept out of this room');
}

async function keepInvite(deps: RoomsCore, event: RoomEvent, strippedState: readonly JsonObject[]): Promise<void> {
  const row = membershipRowOf(event);
  if (!row) return;
  const before = await deps.storage.rooms.findMembership(row.roomId, row.userId);
  if (before?.membership === 'join') throw forbidden('The user is in the room already');
  if (deps.roster.usersOfServerIn(row.roomId, deps.serverName).size > 0) {
    // We are in the room: the invite is one of its events, here or on its way in a transaction.
    const verdict = await acceptEvent(deps, event, { placement: 'timeline' });
    if (verdict.verdict === 'accepted' || verdict.verdict === 'waiting') return;
    throw forbidden(`The room does not allow the invite: ${verdict.reason}`);
  }
  const step = { roomId: row.roomId, userId: row.userId, before: before?.membership ?? null, after: 'invite' };
  const audience = await deps.ports.rowsForAudienceChange([step]);
  const outOfBand = { event: clientForm(event), strippedState };
  const version = getRoomVersion(event.roomVersion);
  const notifications = await deps.ports.rowsForNotifications({ event, version, readState: async () => new Map() });
  await deps.storage.commit({ rows: [{ ...row, outOfBand }, ...audience, ...notifications] });
}

/**
 * The end of an invite to, or a knock on, a room that we are not in: a departure or a ban of our user. What others may do there cannot be
 * judged from here, and nothing else of such a room concerns us. An invite is ended by whoever gave it; a knock by an event that refers to it, since
 * only servers in the room know it. Undefined where it is not that.
 */
export async function takeEndOfPending(
  deps: RoomsCore,
  from: { readonly origin: ServerName; readonly roomId: RoomId; readonly version?: RoomVersion },
  incoming: IncomingEvent,
): Promise<ReceivedPdu | undefined> {
  const target = findTarget(incoming);
  if (target === undefined || serverOfUser(target) !== deps.serverName) return undefined;
  const pending = await deps.storage.rooms.findMembership(from.roomId, target);
  if (pending === undefined || pending.outOfBand === null) return undefined;
  const version = from.version ?? findInvitedVersion(pending.outOfBand.strippedState);
  const parsed = version && parsePdu(incoming, version);
  if (!version || parsed?.outcome !== 'parsed') return undefined;
  const { pdu, eventId } = parsed.event;
  const membership = membershipOf(pdu.content);
  const isEnd = pdu.type === 'm.room.member' && (membership === 'leave' || membership === 'ban');
  const isOfOrigin = from.origin === serverOfUser(pdu.sender) && parsed.event.roomId === from.roomId;
  if (!isEnd || !isOfOrigin || !mayEnd(pending, pdu)) return undefined;
  const [event] = await verifyEvents(deps, [parsed.event], version);
  const row = event && membershipRowOf(event);
  if (!row) return undefined;
  await deps.lock.run(from.roomId, async () => {
    const now = await deps.storage.rooms.findMembership(from.roomId, target);
    if (now?.eventId !== pending.eventId) return;
    const step = { roomId: from.roomId, userId: target, before: pending.membership, after: membership };
    const audience = await deps.ports.rowsForAudienceChange([step]);
    await deps.storage.commit({
      rows: [{ ...row, outOfBand: { event: clientForm(event), strippedState: [] } }, ...audience],
    });
  });
  return { eventId, verdict: { verdict: 'accepted' } };
}

function mayEnd(pending: StoredMembership, pdu: Readonly<Pdu>): boolean {
  if (pending.membership === 'invite') return pdu.sender === pending.sender;
  return pending.membership === 'knock' && authEventIdsOf(pdu).includes(pending.eventId);
}

function findTarget(json: unknown): UserId | undefined {
  if (typeof json !== 'object' || json === null || !('state_key' in json)) return undefined;
  return isUserId(json.state_key) ? json.state_key : undefined;
}

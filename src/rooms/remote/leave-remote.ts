import { completeEvent } from '../../engine/event/build.ts';
import { FederationError } from '../../federation-out/requests-contract.ts';
import { unknown } from '../../matrix/errors.ts';
import { serverOfUser } from '../../matrix/ids.ts';
import type { JsonObject, RoomEvent } from '../../matrix/pdu.ts';
import { defaultRoomVersion, findRoomVersion, getRoomVersion, type RoomVersion } from '../../matrix/room-versions.ts';
import type { StoredMembership } from '../../storage/contract/rooms.ts';
import { clientForm } from '../core/client-form.ts';
import type { RoomsCore } from '../core/deps.ts';
import { membershipRowOf } from '../core/member-row.ts';
import { findInvitedVersion } from './invited-version.ts';
import { isTemplateFor } from './templates.ts';

/** What of the member event is ours to say. */
interface Departure {
  readonly content: JsonObject;
  /** As in `NewEvent`. */
  readonly sentAtMs: number | undefined;
}

/**
 * Gives back an invite to a room that this server is not in, or takes back a knock on one (server-server API, "Leaving Rooms"), through the
 * server of whoever invited, or that took the knock. A user must be able to get rid of an invite whatever other servers do, so the departure holds here also when
 * nobody took it.
 */
export async function leaveRemote(deps: RoomsCore, invite: StoredMembership, departure: Departure): Promise<void> {
  const leave = (await leaveThrough(deps, invite, departure)) ?? ownLeave(deps, invite, departure);
  await deps.lock.run(invite.roomId, async () => {
    const row = membershipRowOf(leave);
    const before = await deps.storage.rooms.findMembership(invite.roomId, invite.userId);
    if (!row || before?.eventId !== invite.eventId) return;
    const step = { roomId: invite.roomId, userId: invite.userId, before: invite.membership, after: 'leave' };
    const audience = await deps.ports.rowsForAudienceChange([step]);
    const outOfBand = { event: clientForm(leave), strippedState: [] };
    await deps.storage.commit({ rows: [{ ...row, outOfBand }, ...audience] });
  });
}

/** Undefined when the other server does not take it. */
async function leaveThrough(
  deps: RoomsCore,
  invite: StoredMembership,
  { content, sentAtMs }: Departure,
): Promise<RoomEvent | undefined> {
  const { roomId, userId } = invite;
  const server = invite.outOfBand?.via ?? serverOfUser(invite.sender);
  if (server === deps.serverName) return undefined;
  try {
    const template = await deps.requests.makeLeave(server, roomId, userId);
    const version = versionOfTemplate(template.roomVersion, invite);
    if (!version || !isTemplateFor(template.event, { roomId, userId, membership: 'leave' })) return undefined;
    const complete = completeEvent(
      { ...template.event, origin_server_ts: sentAtMs ?? deps.clock.now(), content },
      version,
      deps.sign,
    );
    if (complete.outcome === 'malformed') return undefined;
    await deps.requests.sendLeave(server, roomId, complete.event.eventId, complete.event.pdu);
    return complete.event;
  } catch (error) {
    if (!(error instanceof FederationError)) throw error;
    deps.log.info(
      { roomId, server, reason: error.message },
      'an invite or a knock could not be taken back; it is gone here',
    );
    return undefined;
  }
}

/** A departure that nobody but this server will ever see. */
function ownLeave(deps: RoomsCore, invite: StoredMembership, { content, sentAtMs }: Departure): RoomEvent {
  const complete = completeEvent(
    {
      type: 'm.room.member',
      room_id: invite.roomId,
      sender: invite.userId,
      state_key: invite.userId,
      content,
      depth: 1,
      origin_server_ts: sentAtMs ?? deps.clock.now(),
      prev_events: [],
      auth_events: [],
    },
    versionOf(invite),
    deps.sign,
  );
  if (complete.outcome === 'malformed') throw unknown(`The invite cannot be refused: ${complete.reason}`);
  return complete.event;
}

/** "If not provided, the room version is assumed to be either 1 or 2", whose events have the same form. */
function versionOfTemplate(named: string | undefined, invite: StoredMembership): RoomVersion | undefined {
  if (named !== undefined) return findRoomVersion(named);
  return findInvitedVersion(invite.outOfBand?.strippedState ?? []) ?? getRoomVersion('1');
}

function versionOf(invite: StoredMembership): RoomVersion {
  return findInvitedVersion(invite.outOfBand?.strippedState ?? []) ?? getRoomVersion(defaultRoomVersion);
}

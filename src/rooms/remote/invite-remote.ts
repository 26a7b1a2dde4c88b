import { checkAuth } from '../../engine/auth/check.ts';
import { withSignatures } from '../../engine/event/build.ts';
import { parsePdu } from '../../engine/event/parse.ts';
import { keysValidAt, signedFormOf } from '../../engine/event/verify.ts';
import { FederationError } from '../../federation-out/requests-contract.ts';
import { badGateway, forbidden, MatrixError, notFound } from '../../matrix/errors.ts';
import { strippedStateTypes } from '../../matrix/event-types.ts';
import { type EventId, type RoomId, serverOfUser, type UserId } from '../../matrix/ids.ts';
import { type JsonObject, type RoomEvent, stateKeyOf } from '../../matrix/pdu.ts';
import { getRoomVersion } from '../../matrix/room-versions.ts';
import { acceptEvent } from '../core/accept-event.ts';
import type { RoomsCore } from '../core/deps.ts';
import { RoomDraft } from '../core/room-draft.ts';
import { findRoomHead } from '../core/room-head.ts';
import { memberKey } from '../state-reads.ts';
import { tellFirst } from './tell-first.ts';

export interface RemoteInvite {
  readonly roomId: RoomId;
  readonly sender: UserId;
  readonly target: UserId;
  /** As in `NewEvent`. */
  readonly sentAtMs?: number | undefined;
}

/**
 * Invites a user of another server (server-server API, "Inviting to a room"): that server signs the invite first, then it
 * becomes part of the room. Throws M_FORBIDDEN where the room's rules or the other server refuse, M_NOT_FOUND where that does not
 * know the user, 502 where it cannot be asked.
 */
export async function inviteRemote(deps: RoomsCore, invite: RemoteInvite, content: JsonObject): Promise<EventId> {
  const { event, strippedState } = await deps.lock.run(invite.roomId, () => buildInvite(deps, invite, content));
  const signed = await askForSignature(deps, invite, { event, strippedState });
  const verdict = await deps.lock.run(invite.roomId, () =>
    acceptEvent(deps, signed, { placement: 'timeline', distribute: { except: [] } }),
  );
  if (verdict.verdict !== 'accepted') {
    throw forbidden('The room changed meanwhile and does not allow the invite any more');
  }
  return signed.eventId;
}

interface InviteToSign {
  readonly event: RoomEvent;
  /** As PDUs: "MUST additionally be formatted according to the room version specification". */
  readonly strippedState: readonly JsonObject[];
}

async function buildInvite(deps: RoomsCore, invite: RemoteInvite, content: JsonObject): Promise<InviteToSign> {
  const { roomId, sender, target, sentAtMs } = invite;
  const head = await findRoomHead(deps.storage, roomId);
  if (!head || !deps.roster.isJoined(roomId, sender)) throw forbidden('You are not in this room');
  const draft = new RoomDraft(deps, head);
  const { built, state } = await draft.build({ type: 'm.room.member', sender, stateKey: target, content, sentAtMs });
  const verdict = checkAuth(built, state, head.version);
  if (!verdict.allowed) throw forbidden(`You may not do that: ${verdict.reason}`);
  const keys = [...strippedStateTypes.map((type) => stateKeyOf(type, '')), memberKey(sender)];
  const around = await draft.readState(keys);
  return { event: built, strippedState: [...around.values()].map((entry) => entry.pdu) };
}

async function askForSignature(
  deps: RoomsCore,
  { roomId, target }: RemoteInvite,
  { event, strippedState }: InviteToSign,
): Promise<RoomEvent> {
  const server = serverOfUser(target);
  const version = getRoomVersion(event.roomVersion);
  const body = { room_version: version.id, event: event.pdu, invite_room_state: [...strippedState] };
  await tellFirst(deps, server);
  const answer = await deps.requests.invite(server, roomId, event.eventId, body).catch((error: unknown) => {
    throw asRefusal(error, server);
  });
  const returned = parsePdu(answer, version);
  if (returned.outcome === 'malformed' || returned.event.eventId !== event.eventId) {
    throw badGateway(`${server} gave another event back`);
  }
  const checks = [
    {
      object: signedFormOf(returned.event.pdu, version),
      servers: [server],
      validAtMs: keysValidAt(event.pdu, version),
    },
  ];
  const [verdict] = await deps.checkSignatures(checks, { ask: true });
  if (verdict !== 'good') throw badGateway(`${server} did not sign the invite`);
  return withSignatures(event, returned.event.pdu.signatures);
}

function asRefusal(error: unknown, server: string): unknown {
  if (!(error instanceof FederationError)) return error;
  const { errcode, error: message } = error.body ?? {};
  const text = typeof message === 'string' ? message : `${server} does not take the invite`;
  if (error.outcome !== 'refused') return badGateway(`${server} could not be asked`);
  if (error.status === 403) return forbidden(text);
  // "There is no such user here"; a 404 of another kind says that the server cannot be invited at all.
  if (error.status === 404 && errcode === 'M_NOT_FOUND') return notFound(text);
  if (error.status === 400 && errcode === 'M_INCOMPATIBLE_ROOM_VERSION') {
    return new MatrixError(400, 'M_UNSUPPORTED_ROOM_VERSION', text);
  }
  return badGateway(text);
}

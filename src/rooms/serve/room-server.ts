import { checkAuth } from '../../engine/auth/check.ts';
import { signEvent } from '../../engine/event/build.ts';
import { parsePdu } from '../../engine/event/parse.ts';
import { authorisedViaKey } from '../../engine/event/verify.ts';
import { listAuthChain } from '../../engine/graph/auth-chain.ts';
import { badJson, forbidden, incompatibleRoomVersion, invalidParam, notFound } from '../../matrix/errors.ts';
import { strippedStateTypes } from '../../matrix/event-types.ts';
import { type EventId, isUserId, type RoomId, serverOfUser, type UserId } from '../../matrix/ids.ts';
import { type JsonObject, type RoomEvent, stateKeyOf } from '../../matrix/pdu.ts';
import { getRoomVersion } from '../../matrix/room-versions.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import { acceptEvent } from '../core/accept-event.ts';
import type { RoomsCore } from '../core/deps.ts';
import { restrictedJoinContent } from '../core/restricted-join.ts';
import { RoomDraft } from '../core/room-draft.ts';
import { findRoomHead, type RoomHead } from '../core/room-head.ts';
import { isServerAllowed } from '../core/server-access.ts';
import { type IncomingEvent, verifyEvents } from '../core/verify-events.ts';
import { membershipOf } from '../state-reads.ts';

type ServedMembership = 'join' | 'leave' | 'knock';

export interface SentMember {
  readonly roomId: RoomId;
  readonly eventId: EventId;
  readonly event: IncomingEvent;
}

/** What other servers do in our rooms for their users. `origin` asks, proven by its signature. All refuse with a MatrixError. */
export interface MembershipServer {
  makeJoin(
    origin: ServerName,
    request: { readonly roomId: RoomId; readonly userId: UserId; readonly versions: readonly string[] },
  ): Promise<{ room_version: string; event: JsonObject }>;
  /** The join as it stands in the room, the state before it and its auth chain; PDUs as JSON texts. */
  sendJoin(
    origin: ServerName,
    request: SentMember,
  ): Promise<{ event: string; state: readonly string[]; authChain: readonly string[] }>;
  makeLeave(
    origin: ServerName,
    request: { readonly roomId: RoomId; readonly userId: UserId },
  ): Promise<{ room_version: string; event: JsonObject }>;
  sendLeave(origin: ServerName, request: SentMember): Promise<void>;
  makeKnock(
    origin: ServerName,
    request: { readonly roomId: RoomId; readonly userId: UserId; readonly versions: readonly string[] },
  ): Promise<{ room_version: string; event: JsonObject }>;
  /** What the room says of itself to whoever knocks; PDUs as JSON texts. */
  sendKnock(origin: ServerName, request: SentMember): Promise<readonly string[]>;
}

export function createMembershipServer(deps: RoomsCore): MembershipServer {
  const { storage } = deps;
  return {
    async makeJoin(origin, { roomId, userId, versions }) {
      const head = await getServedRoom(deps, origin, roomId);
      checkUserOf(origin, userId);
      if (!versions.includes(head.version.id)) throw incompatibleRoomVersion(head.version.id);
      const more = await restrictedJoinContent(deps, new RoomDraft(deps, head), userId);
      return makeTemplate(deps, head, { userId, content: { ...more, membership: 'join' } });
    },

    async sendJoin(origin, request) {
      const event = await takeMember(deps, origin, { ...request, membership: 'join' });
      const stored = await storage.events.find(event.eventId);
      if (stored?.snapshotBefore == null) throw notFound('The join is not in the room');
      const stateIds = [...(await storage.state.getSnapshot(stored.snapshotBefore)).values()];
      const chain = await listAuthChain([...stateIds, event.eventId], (ids, ahead) =>
        storage.events.listAuthEdges(ids, ahead),
      );
      const [text = '{}'] = await storage.events.listPduTexts([event.eventId]);
      return {
        event: text,
        state: await storage.events.listPduTexts(stateIds),
        authChain: await storage.events.listPduTexts([...chain]),
      };
    },

    async makeLeave(origin, { roomId, userId }) {
      const head = await getServedRoom(deps, origin, roomId);
      checkUserOf(origin, userId);
      return makeTemplate(deps, head, { userId, content: { membership: 'leave' } });
    },

    async sendLeave(origin, request) {
      await takeMember(deps, origin, { ...request, membership: 'leave' });
    },

    async makeKnock(origin, { roomId, userId, versions }) {
      const head = await getServedRoom(deps, origin, roomId);
      checkUserOf(origin, userId);
      if (!versions.includes(head.version.id)) throw incompatibleRoomVersion(head.version.id);
      return makeTemplate(deps, head, { userId, content: { membership: 'knock' } });
    },

    async sendKnock(origin, request) {
      const event = await takeMember(deps, origin, { ...request, membership: 'knock' });
      const stored = await storage.events.find(event.eventId);
      if (stored?.snapshotBefore == null) throw notFound('The knock is not in the room');
      const keys = strippedStateTypes.map((type) => stateKeyOf(type, ''));
      const shown = await storage.state.getFromSnapshot(stored.snapshotBefore, keys);
      return storage.events.listPduTexts([...shown.values()]);
    },
  };
}

/** Throws 404 for rooms that we are not in, 403 for servers that are kept out. */
async function getServedRoom(deps: RoomsCore, origin: ServerName, roomId: RoomId): Promise<RoomHead> {
  const isIn = deps.roster.usersOfServerIn(roomId, deps.serverName).size > 0;
  const head = isIn ? await findRoomHead(deps.storage, roomId) : undefined;
  if (!head) throw notFound('This server is not in that room');
  if (!(await isServerAllowed(deps.storage, roomId, origin))) throw forbidden('Your server is kept out of this room');
  return head;
}

function checkUserOf(origin: ServerName, userId: UserId): void {
  if (serverOfUser(userId) !== origin) throw forbidden('The user is not of your server');
}

/** Where ids are given, that of an event is chosen by whoever signs it. */
const notInTemplates = new Set(['hashes', 'signatures', 'unsigned', 'event_id']);

/** The member event as it would be now, unsigned: authorised like a real one, so that nobody signs what would be refused. */
async function makeTemplate(
  deps: RoomsCore,
  head: RoomHead,
  member: { readonly userId: UserId; readonly content: JsonObject },
): Promise<{ room_version: string; event: JsonObject }> {
  const { userId, content } = member;
  const draft = new RoomDraft(deps, head);
  const { built, state } = await draft.build({ type: 'm.room.member', sender: userId, stateKey: userId, content });
  const verdict = checkAuth(built, state, head.version);
  if (!verdict.allowed) throw forbidden(`The user may not do that: ${verdict.reason}`);
  const fields = Object.entries(built.pdu).filter(([key]) => !notInTemplates.has(key));
  return { room_version: head.version.id, event: Object.fromEntries(fields) };
}

/** Takes a member event that the joining or leaving server completed into the room, and sends it on to the others. */
async function takeMember(
  deps: RoomsCore,
  origin: ServerName,
  request: SentMember & { readonly membership: ServedMembership },
): Promise<RoomEvent> {
  const { roomId, eventId, event: incoming } = request;
  const head = await getServedRoom(deps, origin, roomId);
  const parsed = parsePdu(incoming, head.version);
  if (parsed.outcome === 'malformed') throw badJson(`This is not an event: ${parsed.reason}`);
  checkIsMember(parsed.event, { ...request, origin });
  if (parsed.event.eventId !== eventId) throw invalidParam('The event is another one than the request says');
  const vouched = await vouchFor(deps, head, parsed.event);
  const [event] = await verifyEvents(deps, [vouched], getRoomVersion(head.version.id));
  if (!event) throw forbidden('The event is not signed by your server');
  const verdict = await deps.lock.run(roomId, () =>
    acceptEvent(deps, event, { placement: 'timeline', distribute: { except: [origin] } }),
  );
  if (verdict.verdict === 'accepted') return event;
  const reason = verdict.verdict === 'waiting' ? 'it refers to events that are not known here' : verdict.reason;
  throw forbidden(`The event is refused: ${reason}`);
}

function checkIsMember(
  { pdu, roomId }: RoomEvent,
  wanted: { readonly membership: ServedMembership; readonly origin: ServerName; readonly roomId: RoomId },
): void {
  if (roomId !== wanted.roomId) throw invalidParam('The event is of another room');
  if (pdu.type !== 'm.room.member' || pdu.content.membership !== wanted.membership) {
    throw invalidParam(`This is no ${wanted.membership}`);
  }
  if (!isUserId(pdu.state_key) || pdu.state_key !== pdu.sender) throw invalidParam('The event is not about its sender');
  if (serverOfUser(pdu.sender) !== wanted.origin) throw forbidden('The user is not of your server');
}

/**
 * "the resident server … should add its own signature": where one of our users vouches for a restricted join, and the joining user is seen to
 * meet a condition. A template may be old, or made up. Throws as `restrictedJoinContent`.
 */
async function vouchFor(deps: RoomsCore, head: RoomHead, event: RoomEvent): Promise<RoomEvent> {
  const { content, sender } = event.pdu;
  const authoriser = content[authorisedViaKey];
  const isOurs =
    head.version.restrictedJoins &&
    membershipOf(content) === 'join' &&
    isUserId(authoriser) &&
    serverOfUser(authoriser) === deps.serverName;
  if (!isOurs) return event;
  await restrictedJoinContent(deps, new RoomDraft(deps, head), sender);
  return signEvent(event, deps.sign);
}

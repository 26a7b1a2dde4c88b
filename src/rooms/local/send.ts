import { redact } from '../../engine/event/redact.ts';
import { findRedactionTarget } from '../../engine/event/redaction-target.ts';
import { mayAct } from '../../engine/power.ts';
import { forbidden, serverUnavailable } from '../../matrix/errors.ts';
import { type DeviceId, type EventId, isUserId, type RoomId, serverOfUser, type UserId } from '../../matrix/ids.ts';
import { type JsonObject, type RoomEvent, stateKeyOf } from '../../matrix/pdu.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import type { Expectation, Row } from '../../storage/contract/commit.ts';
import { askForInvited } from '../core/ask-for-invited.ts';
import { commitDraft } from '../core/commit-draft.ts';
import type { RoomsCore } from '../core/deps.ts';
import { isHeldHere } from '../core/local-room.ts';
import { powerKeys } from '../core/power-keys.ts';
import { type NewEvent, RoomDraft } from '../core/room-draft.ts';
import { findRoomHead } from '../core/room-head.ts';
import { checkLocalContent } from './check-content.ts';
import { checkRelation } from './check-relation.ts';
import { withoutAuthoriser } from './member-content.ts';
import { isSameJson } from './same-json.ts';

/** The transaction of a client's request; the same one again answers with the same event. */
export interface ClientTransaction {
  readonly deviceId: DeviceId;
  /** Method and path without the id. */
  readonly scope: string;
  readonly transactionId: string;
}

export interface SendRequest extends NewEvent {
  readonly roomId: RoomId;
  readonly transaction?: ClientTransaction | undefined;
}

export interface Sending {
  /**
   * Sends a local user's event into a room that this server is in. Throws M_FORBIDDEN (also for rooms that do not exist), M_BAD_JSON,
   * M_TOO_LARGE, and what the content of some types is refused with.
   */
  sendEvent(request: SendRequest): Promise<EventId>;
}

export type SendDeps = Pick<
  RoomsCore,
  'storage' | 'clock' | 'sign' | 'lock' | 'roster' | 'serverName' | 'ports' | 'log' | 'noticesSender'
> & {
  /** Invites a user of another server, whose server has to sign first. */
  readonly inviteRemote: InviteRemote;
  /** Changes that may take other servers, because this one need not be in the room. */
  readonly ownMembership: OwnMembership;
};

export interface OwnMembership {
  join(request: {
    readonly userId: UserId;
    readonly roomId: RoomId;
    readonly servers: readonly ServerName[];
    readonly content: JsonObject;
    readonly sentAtMs?: number | undefined;
  }): Promise<void>;
  leave(request: {
    readonly userId: UserId;
    readonly roomId: RoomId;
    readonly reason: string | undefined;
    readonly sentAtMs?: number | undefined;
  }): Promise<void>;
  knock(request: {
    readonly userId: UserId;
    readonly roomId: RoomId;
    readonly servers: readonly ServerName[];
    readonly reason: string | undefined;
    readonly sentAtMs?: number | undefined;
  }): Promise<void>;
}

export type InviteRemote = (invite: RemoteInvite, content: JsonObject) => Promise<EventId>;

export interface RemoteInvite {
  readonly roomId: RoomId;
  readonly sender: UserId;
  readonly target: UserId;
  readonly sentAtMs?: number | undefined;
}

const protectedTypes: ReadonlySet<string> = new Set(['m.room.create', 'm.room.server_acl']);

/** Writers of a room stand in line, so a second conflict would already be strange. */
const attemptsMax = 3;

export function createSending(deps: SendDeps): Sending {
  return {
    async sendEvent(asked) {
      await checkLocalContent(deps, asked);
      const isMember = asked.type === 'm.room.member' && asked.stateKey !== undefined;
      const request = isMember ? { ...asked, content: withoutAuthoriser(asked.content) } : asked;
      const invited = findInvited(request);
      if (invited) await askForInvited(deps, invited);
      const target = invited === undefined || serverOfUser(invited) === deps.serverName ? undefined : invited;
      if (target) return deps.inviteRemote({ ...request, target }, request.content);
      const isOutside = isOwnMember(request) && !deps.roster.isJoined(request.roomId, request.sender);
      if (isOutside && (await changeMembership(deps, request))) return getMemberEventId(deps, request);
      return deps.lock.run(request.roomId, () => sendLocked(deps, request));
    },
  };
}

function findInvited({ type, stateKey, content }: SendRequest): UserId | undefined {
  if (type !== 'm.room.member' || content.membership !== 'invite' || !isUserId(stateKey)) return undefined;
  return stateKey;
}

/** False for a membership that nobody gives themselves. */
async function changeMembership(
  deps: SendDeps,
  { roomId, sender: userId, content, sentAtMs }: SendRequest,
): Promise<boolean> {
  const reason = typeof content.reason === 'string' ? content.reason : undefined;
  const own = { userId, roomId, sentAtMs };
  const { join, leave, knock } = deps.ownMembership;
  if (content.membership === 'join') await join({ ...own, servers: [], content });
  else if (content.membership === 'leave') await leave({ ...own, reason });
  else if (content.membership === 'knock') await knock({ ...own, servers: [], reason });
  else return false;
  return true;
}

async function getMemberEventId(deps: SendDeps, { roomId, sender }: SendRequest): Promise<EventId> {
  const row = await deps.storage.rooms.findMembership(roomId, sender);
  if (!row) throw forbidden('You are not in this room');
  return row.eventId;
}

function isOwnMember({ type, sender, stateKey }: SendRequest): boolean {
  return type === 'm.room.member' && stateKey === sender;
}

async function sendLocked(deps: SendDeps, request: SendRequest): Promise<EventId> {
  const { transaction, sender } = request;
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const sent = transaction
      ? await deps.storage.events.findClientTransaction(
          sender,
          transaction.deviceId,
          transaction.scope,
          transaction.transactionId,
        )
      : undefined;
    if (sent) return sent;
    const head = await findRoomHead(deps.storage, request.roomId);
    const mayTry =
      deps.roster.isJoined(request.roomId, sender) || (isOwnMember(request) && isHeldHere(deps, request.roomId));
    if (!head || !mayTry) throw forbidden('You are not in this room');
    if (request.stateKey === undefined) await checkRelation(deps, request);
    const draft = new RoomDraft(deps, head);
    const unchanged = await findUnchanged(draft, request);
    if (unchanged) return unchanged.eventId;
    const event = await draft.append(
      request,
      transaction
        ? { transaction: { userId: sender, deviceId: transaction.deviceId, transactionId: transaction.transactionId } }
        : {},
    );
    const redaction = await redactionRows(deps, draft, event);
    const echo = transaction ? transactionParts(deps, { ...request, transaction }, event.eventId) : undefined;
    const result = await commitDraft(deps, draft, {
      rows: [...redaction, ...(echo?.rows ?? [])],
      expect: echo?.expect ?? [],
    });
    if (result.outcome === 'committed') return event.eventId;
  }
  throw serverUnavailable('The room is busy, try again');
}

/** State that says what the room's state says already is not sent again; the answer is the event that holds. */
async function findUnchanged(draft: RoomDraft, request: SendRequest): Promise<RoomEvent | undefined> {
  const { type, stateKey, sender, content } = request;
  if (stateKey === undefined) return undefined;
  const key = stateKeyOf(type, stateKey);
  const before = (await draft.readState([key])).get(key);
  if (before?.pdu.sender !== sender) return undefined;
  return isSameJson(before.pdu.content, content) ? before : undefined;
}

function transactionParts(
  deps: SendDeps,
  request: SendRequest & { transaction: ClientTransaction },
  eventId: EventId,
): { rows: Row[]; expect: Expectation[] } {
  const key = { userId: request.sender, ...request.transaction };
  return {
    rows: [{ kind: 'client_transaction', ...key, eventId, createdAtMs: deps.clock.now() }],
    expect: [{ kind: 'client_transaction_unused', ...key }],
  };
}

/**
 * What a redaction changes in the event it names, if that is known and the sender may. Refused with M_FORBIDDEN where the sender may
 * not: the room would carry an event that nobody obeys.
 */
async function redactionRows(deps: SendDeps, draft: RoomDraft, redaction: RoomEvent): Promise<Row[]> {
  const targetId = findRedactionTarget(redaction.pdu, draft.version);
  if (targetId === undefined) return [];
  const target = await deps.storage.events.find(targetId);
  if (!target) return [{ kind: 'redaction_waiting', redaction: redaction.eventId, target: targetId }];
  if (target.event.roomId !== redaction.roomId) return [];
  const state = await draft.readAuthState(powerKeys);
  // Without its version a create event would be one of version 1, and an empty ACL denies every server: no way back from either.
  if (protectedTypes.has(target.event.pdu.type)) throw forbidden('Events of this type cannot be redacted');
  // "Any user … may send redactions for their own events"; for others' events it takes the power, on the same server too.
  const isOwn = target.event.pdu.sender === redaction.pdu.sender;
  if (!isOwn && !mayAct(redaction.pdu.sender, 'redact', { state, version: draft.version })) {
    throw forbidden('You may not redact this event');
  }
  if (target.redactedBy !== null) return [];
  const redacted = redact(target.event.pdu, draft.version);
  return [{ kind: 'redaction', eventId: target.event.eventId, redactedBy: redaction.eventId, redacted }];
}

import {
  badState,
  cannotLeaveServerNoticeRoom,
  forbidden,
  MatrixError,
  notFound,
  unableToAuthoriseJoin,
  unknown,
} from '../../matrix/errors.ts';
import { findServerOfRoom, type RoomId, serverOfUser, type UserId } from '../../matrix/ids.ts';
import type { JsonObject } from '../../matrix/pdu.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import type { Membership, StoredMembership } from '../../storage/contract/rooms.ts';
import { askForInvited } from '../core/ask-for-invited.ts';
import type { RoomsCore } from '../core/deps.ts';
import { isHeldHere, isLocalRoom } from '../core/local-room.ts';
import { checkInvited } from './check-content.ts';
import { JoinRuns } from './join-runs.ts';
import { memberContent, withoutAuthoriser } from './member-content.ts';
import type { InviteRemote } from './send.ts';
import { type MemberChange, sendMember } from './send-member.ts';

export type MembershipDeps = Pick<
  RoomsCore,
  'storage' | 'clock' | 'sign' | 'lock' | 'roster' | 'serverName' | 'ports' | 'noticesSender'
> & {
  /** Joins through other servers; throws a MatrixError when none lets the user in. local: this server is in the room now. */
  readonly joinRemote: (join: {
    readonly userId: UserId;
    readonly roomId: RoomId;
    readonly servers: readonly ServerName[];
    readonly content: JsonObject;
    readonly sentAtMs: number | undefined;
    /** Also where this server is in the room: its own users cannot vouch for the join. */
    readonly forced: boolean;
  }) => Promise<'joined' | 'local'>;
  /** Resolves when the server has what was on its way to it, or is slow. */
  readonly tellFirst: (server: ServerName) => Promise<void>;
  /** Gives an invite back through the server it came from; always ends with the user having left here. */
  readonly leaveRemote: (invite: StoredMembership, event: OwnMemberEvent) => Promise<void>;
  readonly inviteRemote: InviteRemote;
  /** Knocks through other servers; throws a MatrixError when none takes it. */
  readonly knockRemote: (knock: RemoteKnock) => Promise<void>;
};

export interface KnockRequest {
  readonly userId: UserId;
  readonly roomId: RoomId;
  /** Servers to ask when this one is not in the room. */
  readonly servers: readonly ServerName[];
  readonly reason: string | undefined;
  /** As in `NewEvent`. */
  readonly sentAtMs?: number | undefined;
}

/** A member event that another server has the rest of. */
interface OwnMemberEvent {
  readonly content: JsonObject;
  readonly sentAtMs: number | undefined;
}

interface RemoteKnock extends OwnMemberEvent {
  readonly userId: UserId;
  readonly roomId: RoomId;
  readonly servers: readonly ServerName[];
}

export interface LeaveRequest {
  readonly userId: UserId;
  readonly roomId: RoomId;
  readonly reason: string | undefined;
  /** As in `NewEvent`. */
  readonly sentAtMs?: number | undefined;
}

export interface JoinRequest {
  readonly userId: UserId;
  readonly roomId: RoomId;
  /** Servers to ask when this one is not in the room. */
  readonly servers: readonly ServerName[];
  /** `reason` and whatever else the client wants in the member event. */
  readonly content: JsonObject;
  /** As in `NewEvent`. */
  readonly sentAtMs?: number | undefined;
}

/** One member's change by another. */
export interface Moderation {
  readonly roomId: RoomId;
  readonly sender: UserId;
  readonly target: UserId;
  readonly reason: string | undefined;
}

/** Client-server API, "Room membership". All throw M_FORBIDDEN where the rules of the room or the membership forbid it. */
export interface MembershipChanges {
  /** Joining a room that the user is in already does nothing. M_NOT_FOUND when nobody can be asked about the room. */
  join(request: JoinRequest): Promise<void>;
  /** Asks to be let in. M_NOT_FOUND when nobody can be asked about the room. */
  knock(request: KnockRequest): Promise<void>;
  /**
   * Also gives an invite or a knock back. Leaving a room one has left does nothing. M_CANNOT_LEAVE_SERVER_NOTICE_ROOM for an invite of this server itself:
   * "Attempting to reject the invite must result in" it.
   */
  leave(request: LeaveRequest): Promise<void>;
  /** What `leave` does, for who is gone: no invite holds them. */
  leaveForGood(roomId: RoomId, userId: UserId): Promise<void>;
  invite(invite: Moderation, more?: JsonObject): Promise<void>;
  kick(kick: Moderation): Promise<void>;
  ban(ban: Moderation): Promise<void>;
  /** M_BAD_STATE for somebody who is not banned. */
  unban(unban: Moderation): Promise<void>;
  /** M_UNKNOWN while the user is in the room. */
  forget(roomId: RoomId, userId: UserId): Promise<void>;
}

const joinServersMax = 20;

export function createMembershipChanges(deps: MembershipDeps): MembershipChanges {
  const { storage } = deps;
  const change = (member: MemberChange) => sendMember(deps, member);
  const joins = new JoinRuns(deps);

  async function leave({ roomId, userId, reason, sentAtMs }: LeaveRequest, row: StoredMembership): Promise<void> {
    const content = { ...reasonOf(reason), membership: 'leave' };
    const invitedHere = row.membership === 'invite' && serverOfUser(row.sender) === deps.serverName;
    if (row.outOfBand !== null || !(invitedHere || (await isLocalRoom(deps, roomId)))) {
      return deps.leaveRemote(row, { content, sentAtMs });
    }
    await change({ roomId, sender: userId, target: userId, content, sentAtMs });
  }

  return {
    async join(request) {
      const { userId, roomId } = request;
      const row = await storage.rooms.findMembership(roomId, userId);
      if (row?.membership === 'join') return;
      const isLocal = row?.outOfBand == null && (await isLocalRoom(deps, roomId));
      if (isLocal && (await joinLocally(deps, joins, request))) return;
      const servers = listJoinServers(deps, request, row);
      if (servers.length === 0) throw notFound('No server is known that is in this room');
      const [first] = servers;
      if (isLocal && first !== undefined) {
        // What is on its way here may say that one of ours can let the user in after all.
        await deps.tellFirst(first);
        if (await joinLocally(deps, joins, request)) return;
      }
      const content = await joinContent(deps, request);
      const { sentAtMs } = request;
      const outcome = await deps.joinRemote({ userId, roomId, servers, content, sentAtMs, forced: isLocal });
      if (outcome === 'local') await joinLocally(deps, joins, request);
    },

    async knock({ roomId, userId, servers, reason, sentAtMs }) {
      const row = await storage.rooms.findMembership(roomId, userId);
      const content = await memberContent(deps, { userId, membership: 'knock' }, reasonOf(reason));
      if (row?.outOfBand != null || !(await isLocalRoom(deps, roomId))) {
        if (row?.membership === 'invite') throw forbidden('You are invited already');
        const asked = listJoinServers(deps, { roomId, servers }, row);
        if (asked.length === 0) throw notFound('No server is known that is in this room');
        return deps.knockRemote({ userId, roomId, servers: asked, content, sentAtMs });
      }
      await change({ roomId, sender: userId, target: userId, content, sentAtMs });
    },

    async leave(request) {
      const { roomId, userId } = request;
      const row = await storage.rooms.findMembership(roomId, userId);
      if (row?.membership === 'leave') return;
      if (!row || row.membership === 'ban') throw forbidden('You are not in this room');
      checkMayReject(deps, row);
      await leave(request, row);
    },

    async leaveForGood(roomId, userId) {
      const row = await storage.rooms.findMembership(roomId, userId);
      if (!row || row.membership === 'leave' || row.membership === 'ban') return;
      await leave({ roomId, userId, reason: undefined }, row);
    },

    async invite({ roomId, sender, target, reason }, more = {}) {
      checkInvited(deps, target);
      await askForInvited(deps, target);
      const content = await memberContent(
        deps,
        { userId: target, membership: 'invite' },
        { ...more, ...reasonOf(reason) },
      );
      if (serverOfUser(target) === deps.serverName) await change({ roomId, sender, target, content });
      else await deps.inviteRemote({ roomId, sender, target }, content);
    },

    async kick({ roomId, sender, target, reason }) {
      // Who makes themselves leave leaves.
      if (sender === target) checkMayReject(deps, await storage.rooms.findMembership(roomId, target));
      const content = { ...reasonOf(reason), membership: 'leave' };
      await change({ roomId, sender, target, content, check: mustBeIn });
    },

    async ban({ roomId, sender, target, reason }) {
      await change({ roomId, sender, target, content: { ...reasonOf(reason), membership: 'ban' } });
    },

    async unban({ roomId, sender, target, reason }) {
      const content = { ...reasonOf(reason), membership: 'leave' };
      await change({ roomId, sender, target, content, check: mustBeBanned });
    },

    async forget(roomId, userId) {
      await deps.lock.run(roomId, async () => {
        const row = await storage.rooms.findMembership(roomId, userId);
        if (!row) throw notFound('You were never in this room');
        if (row.membership !== 'leave' && row.membership !== 'ban') throw unknown('You are still in this room');
        const step = { roomId, userId, before: row.membership, after: 'forgotten' };
        const audience = await deps.ports.rowsForAudienceChange([step]);
        await storage.commit({ rows: [{ kind: 'room_forgotten', roomId, userId }, ...audience] });
      });
    },
  };
}

/** "The client must not expect to be able to reject an invite to join the server notices room." */
function checkMayReject({ noticesSender }: MembershipDeps, row: StoredMembership | undefined): void {
  if (row?.membership === 'invite' && row.sender === noticesSender) {
    throw cannotLeaveServerNoticeRoom('This is where the server tells you what you must know');
  }
}

function reasonOf(reason: string | undefined): JsonObject {
  return reason === undefined ? {} : { reason };
}

/** The rules would let a moderator make a stranger leave; the specification does not: "the target user must be in the room". */
function mustBeIn(membership: Membership): void {
  if (membership === 'leave' || membership === 'ban') throw forbidden('This user is not in the room');
}

function mustBeBanned(membership: Membership): void {
  if (membership !== 'ban') throw badState('This user is not banned');
}

function joinContent(deps: MembershipDeps, { userId, content }: JoinRequest): Promise<JsonObject> {
  return memberContent(deps, { userId, membership: 'join' }, withoutAuthoriser(content));
}

const onlyOthersCanTell: ReadonlySet<string> = new Set(['M_UNABLE_TO_AUTHORISE_JOIN', 'M_UNABLE_TO_GRANT_JOIN']);

/** False when only another server can let the user in. */
async function joinLocally(deps: MembershipDeps, joins: JoinRuns, request: JoinRequest): Promise<boolean> {
  const { roomId, userId } = request;
  const content = await joinContent(deps, request);
  // The last of our users may have left since: what we then know of the room grows old.
  const check = () => {
    if (!isHeldHere(deps, roomId)) throw unableToAuthoriseJoin('This server is not in the room any more');
  };
  try {
    const { sentAtMs } = request;
    await joins.join({ roomId, sender: userId, target: userId, content, check, sentAtMs });
    return true;
  } catch (error) {
    if (error instanceof MatrixError && onlyOthersCanTell.has(error.errcode)) {
      if (listJoinServers(deps, request, undefined).length > 0) return false;
    }
    throw error;
  }
}

/**
 * Whom to ask for a way in: those the client named, who may be the only ones it trusts to know; without any the server of whoever
 * invited, and those that were in the room when we last were.
 */
function listJoinServers(
  deps: MembershipDeps,
  { roomId, servers }: Pick<JoinRequest, 'roomId' | 'servers'>,
  row: StoredMembership | undefined,
): ServerName[] {
  const all = new Set<ServerName>(servers);
  if (row?.membership === 'invite') all.add(serverOfUser(row.sender));
  if (row?.outOfBand?.via !== undefined) all.add(row.outOfBand.via);
  all.delete(deps.serverName);
  if (all.size === 0) for (const server of deps.roster.serversIn(roomId)) all.add(server);
  all.delete(deps.serverName);
  const fromId = findServerOfRoom(roomId);
  if (all.size === 0 && fromId !== undefined && fromId !== deps.serverName) all.add(fromId);
  return [...all].slice(0, joinServersMax);
}

import type { Accounts } from '../accounts/accounts.ts';
import { createInOrder } from '../accounts/in-order.ts';
import { invalidParam, notFound } from '../matrix/errors.ts';
import { type EventId, type RoomId, serverOfUser, type UserId } from '../matrix/ids.ts';
import type { JsonObject } from '../matrix/pdu.ts';
import type { ServerName } from '../matrix/server-name.ts';
import type { Creating } from '../rooms/local/create.ts';
import type { MembershipChanges } from '../rooms/local/membership.ts';
import type { ClientTransaction, Sending } from '../rooms/local/send.ts';
import type { Roster } from '../roster/roster.ts';
import type { Storage } from '../storage/contract/storage.ts';

export interface ServerNoticesDeps {
  readonly storage: Pick<Storage, 'accounts' | 'events' | 'rooms'>;
  readonly roster: Pick<Roster, 'isJoined'>;
  readonly accounts: {
    readonly registration: Pick<Accounts['registration'], 'createReserved'>;
    readonly profiles: Pick<Accounts['profiles'], 'setField'>;
    readonly tags: Pick<Accounts['tags'], 'list' | 'put'>;
  };
  readonly creating: Creating;
  readonly sending: Sending;
  readonly membership: Pick<MembershipChanges, 'invite' | 'join'>;
  readonly serverName: ServerName;
  /** Who speaks for the server. Nobody can sign in as this user. */
  readonly sender: UserId;
  readonly displayName: string;
  readonly avatarUrl: string | null;
  readonly roomName: string;
  /** Users are in their room without having been asked. */
  readonly autoJoin: boolean;
}

export interface NoticeRequest {
  readonly to: UserId;
  /** `m.room.message` in nearly all cases. */
  readonly type: string;
  readonly stateKey?: string | undefined;
  readonly content: JsonObject;
  readonly transaction?: ClientTransaction | undefined;
}

/** Client-server API, "Server Notices": the server's own word to one of its users, in a room of the two. */
export interface ServerNotices {
  /**
   * Makes the user's room at the first notice, and invites them again where they left it: "exactly 1 server notices room per user",
   * "invite the target user rather than automatically join them", unless the administrator wants otherwise. The same transaction again answers
   * with the same event. Throws M_INVALID_PARAM for users of other servers, M_NOT_FOUND for nobody and for who has deactivated, and what
   * sending throws.
   */
  send(request: NoticeRequest): Promise<EventId>;
}

const tag = 'm.server_notice';
/** Below what anything takes: the room is for reading. */
const readersLevel = -10;

/**
 * Which room is whose is written down nowhere: it is the one that the sender is joined to and the user has a membership of, and both are of the commit
 * that made the room. A user who has forgotten it gets another one.
 */
export function createServerNotices(deps: ServerNoticesDeps): ServerNotices {
  const { storage, accounts, sender } = deps;
  const inOrder = createInOrder();
  let ready: Promise<void> | undefined;

  async function makeSender(): Promise<void> {
    if (!(await storage.accounts.findAccount(sender))) await accounts.registration.createReserved(sender);
    await accounts.profiles.setField(sender, { userId: sender, field: 'displayname' }, deps.displayName);
    await accounts.profiles.setField(sender, { userId: sender, field: 'avatar_url' }, deps.avatarUrl);
  }

  /** Once in a process: the configuration says what the sender is called, and a failure is tried again. */
  function senderReady(): Promise<void> {
    ready ??= makeSender().catch((error) => {
      ready = undefined;
      throw error;
    });
    return ready;
  }

  async function findRoom(to: UserId) {
    const rooms = await storage.rooms.listMembershipsOfUser(to, ['join', 'invite', 'leave', 'ban']);
    return rooms.find(({ roomId }) => deps.roster.isJoined(roomId, sender));
  }

  function createRoom(to: UserId): Promise<RoomId> {
    return deps.creating.createRoom(sender, {
      preset: 'private_chat',
      name: deps.roomName,
      invite: [to],
      creation_content: { 'm.federate': false },
      power_level_content_override: { users_default: readersLevel },
      initial_state: deps.avatarUrl === null ? [] : [{ type: 'm.room.avatar', content: { url: deps.avatarUrl } }],
    });
  }

  async function openRoom(to: UserId): Promise<RoomId> {
    const known = await findRoom(to);
    if (known?.membership === 'leave') {
      await deps.membership.invite({ roomId: known.roomId, sender, target: to, reason: undefined });
    }
    const roomId = known?.roomId ?? (await createRoom(to));
    // Also of an invite that has waited since before the setting.
    const isInvited = known === undefined || known.membership === 'invite' || known.membership === 'leave';
    if (deps.autoJoin && isInvited) await deps.membership.join({ userId: to, roomId, servers: [], content: {} });
    const tags = await accounts.tags.list(to, { userId: to, roomId });
    if (!Object.hasOwn(tags, tag)) await accounts.tags.put(to, { userId: to, roomId, tag }, {});
    return roomId;
  }

  async function sendInOrder({ to, type, stateKey, content, transaction }: NoticeRequest): Promise<EventId> {
    if (transaction) {
      const { deviceId, scope, transactionId } = transaction;
      const sent = await storage.events.findClientTransaction(sender, deviceId, scope, transactionId);
      // Before the room is looked at: who left it in between is not invited by a repetition.
      if (sent) return sent;
    }
    await senderReady();
    const roomId = await openRoom(to);
    return deps.sending.sendEvent({ roomId, sender, type, stateKey, content, transaction });
  }

  return {
    async send(request) {
      const { to } = request;
      if (serverOfUser(to) !== deps.serverName) throw invalidParam('Notices are for users of this server');
      const account = to === sender ? undefined : await storage.accounts.findAccount(to);
      if (!account || account.deactivatedAtMs !== null) throw notFound('There is no such user');
      return inOrder(to, () => sendInOrder(request));
    },
  };
}

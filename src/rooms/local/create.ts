import {
  exclusive,
  forbidden,
  invalidRoomState,
  MatrixError,
  roomInUse,
  unsupportedRoomVersion,
} from '../../matrix/errors.ts';
import { type RoomId, serverOfUser, type UserId } from '../../matrix/ids.ts';
import { findRoomVersion, type RoomVersion } from '../../matrix/room-versions.ts';
import type { Row } from '../../storage/contract/commit.ts';
import { askForInvited } from '../core/ask-for-invited.ts';
import { commitDraft } from '../core/commit-draft.ts';
import type { RoomsCore } from '../core/deps.ts';
import { RoomDraft } from '../core/room-draft.ts';
import { newRoomHead } from '../core/room-head.ts';
import { checkInvited } from './check-content.ts';
import type { CreateEvents } from './create-event.ts';
import { type CreateRoomRequest, planRoom, type RoomPlan } from './create-plan.ts';
import { memberContent } from './member-content.ts';
import type { InviteRemote } from './send.ts';

export type CreateDeps = Pick<
  RoomsCore,
  'storage' | 'clock' | 'sign' | 'lock' | 'roster' | 'serverName' | 'ports' | 'log' | 'noticesSender'
> & {
  readonly createEvents: CreateEvents;
  readonly defaultRoomVersion: string;
  readonly publishing: boolean;
  /** Invites a user of another server. */
  readonly inviteRemote: InviteRemote;
};

export interface Creating {
  /**
   * Creates a room with all that the request asks for, its local events in one commit; users of other servers are invited after it, and
   * one whose server does not answer is left out. Throws M_BAD_JSON, M_UNSUPPORTED_ROOM_VERSION, M_ROOM_IN_USE, M_INVALID_ROOM_STATE,
   * M_INVALID_PARAM, M_EXCLUSIVE for an alias that is reserved (`serviceId`: of the application service that acts), and M_FORBIDDEN where rooms may not be put into the public list.
   */
  createRoom(creator: UserId, request: CreateRoomRequest, serviceId?: string): Promise<RoomId>;
}

const attemptsMax = 3;

export function createCreating(deps: CreateDeps): Creating {
  return {
    async createRoom(creator, request, serviceId) {
      const versionId = request.room_version ?? deps.defaultRoomVersion;
      const version = findRoomVersion(versionId);
      if (!version) throw unsupportedRoomVersion('This server does not support that room version');
      if (request.visibility === 'public' && !deps.publishing) throw forbidden('You may not list rooms here');
      const plan = planRoom(request, { creator, version, serverName: deps.serverName });
      for (const target of plan.invites) checkInvited(deps, target);
      if (plan.alias && deps.ports.mayMakeAlias?.(plan.alias, serviceId) === false) {
        throw exclusive('The alias is reserved for an application service');
      }
      for (const userId of request.invite ?? []) await askForInvited(deps, userId);
      if (plan.alias && (await deps.storage.directory.findAlias(plan.alias))) throw aliasTaken();
      const roomId = await commitRoom(deps, { creator, version, plan });
      await inviteOthers(deps, { creator, roomId, plan });
      return roomId;
    },
  };
}

function aliasTaken(): MatrixError {
  return roomInUse('The room alias is already taken');
}

interface RoomToMake {
  readonly creator: UserId;
  readonly version: RoomVersion;
  readonly plan: RoomPlan;
}

async function commitRoom(deps: CreateDeps, room: RoomToMake): Promise<RoomId> {
  const { plan, creator } = room;
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const draft = await draftRoom(deps, room);
    const rows: Row[] = [];
    if (plan.alias) rows.push({ kind: 'alias', alias: plan.alias, roomId: draft.roomId, creator });
    if (plan.visibility === 'public') {
      rows.push({ kind: 'room_visibility', roomId: draft.roomId, visibility: plan.visibility });
    }
    const expect = plan.alias ? [{ kind: 'alias_unused' as const, alias: plan.alias }] : [];
    const result = await deps.lock.run(draft.roomId, () => commitDraft(deps, draft, { rows, expect }));
    if (result.outcome === 'committed') return draft.roomId;
    if (result.expectation.kind === 'alias_unused') throw aliasTaken();
  }
  throw roomInUse('The room could not be created, try again');
}

async function draftRoom(deps: CreateDeps, room: RoomToMake): Promise<RoomDraft> {
  const { creator, version, plan } = room;
  const create = deps.createEvents.make({ creator, version, content: plan.createContent });
  const draft = new RoomDraft(deps, newRoomHead(deps.storage, create.roomId, version));
  await draft.add(create);
  try {
    await draft.append({
      type: 'm.room.member',
      sender: creator,
      stateKey: creator,
      content: await memberContent(deps, { userId: creator, membership: 'join' }),
    });
    for (const { type, stateKey, content } of plan.state) {
      await draft.append({ type, sender: creator, stateKey, content });
    }
    for (const target of plan.invites) {
      if (serverOfUser(target) !== deps.serverName) continue;
      const content = await inviteContent(deps, target, plan);
      await draft.append({ type: 'm.room.member', sender: creator, stateKey: target, content });
    }
  } catch (error) {
    if (!(error instanceof MatrixError) || error.status !== 403) throw error;
    throw invalidRoomState(`The room cannot begin like this: ${error.message}`);
  }
  return draft;
}

async function inviteContent(deps: CreateDeps, target: UserId, plan: RoomPlan) {
  const more = plan.isDirect ? { is_direct: true } : {};
  return memberContent(deps, { userId: target, membership: 'invite' }, more);
}

async function inviteOthers(
  deps: CreateDeps,
  { creator, roomId, plan }: { creator: UserId; roomId: RoomId; plan: RoomPlan },
): Promise<void> {
  for (const target of plan.invites) {
    if (serverOfUser(target) === deps.serverName) continue;
    try {
      await deps.inviteRemote({ roomId, sender: creator, target }, await inviteContent(deps, target, plan));
    } catch (error) {
      if (!(error instanceof MatrixError)) throw error;
      deps.log.warn(
        { roomId, server: serverOfUser(target), reason: error.message },
        'an invite could not be delivered',
      );
    }
  }
}

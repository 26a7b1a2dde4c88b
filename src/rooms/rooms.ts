import type { Reaction } from '../feed/feed.ts';
import type { JsonObject } from '../matrix/pdu.ts';
import type { ServerName } from '../matrix/server-name.ts';
import type { Change } from '../storage/contract/changes.ts';
import type { RoomsCore } from './core/deps.ts';
import { createRoomLock } from './core/room-lock.ts';
import { type AliasPorts, createAliasPorts } from './local/alias-ports.ts';
import { type Creating, createCreating } from './local/create.ts';
import { CreateEvents } from './local/create-event.ts';
import { createMembershipChanges, type MembershipChanges } from './local/membership.ts';
import { createProfileReaction } from './local/profile-reaction.ts';
import { createSending, type InviteRemote, type Sending } from './local/send.ts';
import { createUpgrading, type Upgrading } from './local/upgrade.ts';
import { createMoments, type Moments } from './reading/moments.ts';
import { createRelations, type Relations } from './reading/relations.ts';
import { createRoomHistory, type RoomHistory } from './reading/room-history.ts';
import { createRoomState, type RoomState } from './reading/room-state.ts';
import { createSearch, type Search } from './reading/search.ts';
import { createBackfill } from './remote/backfill.ts';
import { Imports } from './remote/import/imports.ts';
import { inviteRemote } from './remote/invite-remote.ts';
import { createRemoteJoins } from './remote/join-remote.ts';
import { knockRemote } from './remote/knock-remote.ts';
import { leaveRemote } from './remote/leave-remote.ts';
import { createRemoteMoments } from './remote/moments.ts';
import { createReceiver, type Receiver } from './remote/receive/receive.ts';
import { type InviteRequest, receiveInvite } from './remote/receive/receive-invite.ts';
import { tryWaiting } from './remote/receive/try-waiting.ts';
import { WaitingEvents } from './remote/receive/waiting-events.ts';
import type { RemoteCore } from './remote/remote-core.ts';
import { tellFirst } from './remote/tell-first.ts';
import { createMembershipServer, type MembershipServer } from './serve/room-server.ts';

export type RoomsDeps = Omit<RoomsCore, 'lock'> & {
  /** What `createRoom` makes unless told otherwise. */
  readonly defaultRoomVersion: string;
  /** Whether users may put rooms into the public list. */
  readonly publishing: boolean;
};

/** Everything that happens in rooms. Each member is a part of its own; callers take those they need. */
export interface Rooms {
  readonly creating: Creating;
  readonly upgrading: Upgrading;
  readonly sending: Sending;
  readonly membership: MembershipChanges;
  readonly state: RoomState;
  readonly history: RoomHistory;
  readonly relations: Relations;
  readonly moments: Moments;
  readonly search: Search;
  /** PDUs that other servers push. */
  readonly receiver: Receiver;
  /** What other servers ask of our rooms, history aside. */
  readonly server: MembershipServer & {
    receiveInvite(origin: ServerName, request: InviteRequest): Promise<JsonObject>;
  };
  /** What the directory asks of rooms. */
  readonly aliasPorts: AliasPorts;
  readonly profileReaction: Reaction;
  /** For the feed: what pushed events wait for may have come. */
  onChanges(changes: readonly Change[]): void;
  /** Takes up what waited when the process ended, and clears up what it cut off. */
  start(): void;
  /** Begins nothing new. What is under way may still wait for other servers; `idle` says when it has ended. */
  stop(): void;
  /** Resolves when nothing that was begun is under way. */
  idle(): Promise<void>;
}

export function createRooms(deps: RoomsDeps): Rooms {
  const core: RoomsCore = { ...deps, lock: createRoomLock() };
  const imports = new Imports(core);
  const remote: RemoteCore = { ...core, imports };
  const joins = createRemoteJoins({ ...remote, onEnd: (roomId) => waiting.tryRoom(roomId) });
  const waiting: WaitingEvents = new WaitingEvents({
    ...core,
    tryWaiting: (attempt) => tryWaiting({ ...remote, isJoining: joins.isJoining }, attempt),
    listHelpers: (roomId) => [...core.roster.serversIn(roomId)].filter((server) => server !== core.serverName),
  });
  const backfill = createBackfill(remote);
  const receiver = createReceiver({ ...remote, waiting, findJoining: joins.findJoining });
  const inviteOther: InviteRemote = (invite, content) => inviteRemote(core, invite, content);
  const membership = createMembershipChanges({
    ...core,
    joinRemote: joins.join,
    tellFirst: (server) => tellFirst(core, server),
    leaveRemote: (invite, departure) => leaveRemote(core, invite, departure),
    inviteRemote: inviteOther,
    knockRemote: (knock) => knockRemote(core, knock),
  });
  const sending = createSending({ ...core, inviteRemote: inviteOther, ownMembership: membership });
  const createEvents = new CreateEvents(core);
  const creation = { defaultRoomVersion: deps.defaultRoomVersion, publishing: deps.publishing };
  const reading = { ...core, positionOfSyncToken: deps.ports.positionOfSyncToken };
  return {
    creating: createCreating({ ...core, ...creation, createEvents, inviteRemote: inviteOther }),
    upgrading: createUpgrading({ ...core, createEvents }),
    sending,
    membership,
    state: createRoomState(reading),
    history: createRoomHistory({ ...reading, fillGap: backfill.fillGap }),
    relations: createRelations(reading),
    search: createSearch(reading),
    moments: createMoments({ ...reading, findElsewhere: createRemoteMoments(remote).find }),
    receiver,
    server: {
      ...createMembershipServer(core),
      receiveInvite: (origin, request) => receiveInvite(core, origin, request),
    },
    aliasPorts: createAliasPorts(core, sending),
    profileReaction: createProfileReaction(core),
    onChanges: (changes) => waiting.onChanges(changes),
    start() {
      imports.clearUp();
      waiting.start();
    },
    stop() {
      imports.stop();
      waiting.stop();
    },
    async idle() {
      await Promise.all([joins.idle(), receiver.idle(), backfill.idle()]);
      await waiting.idle();
      await imports.idle();
      await core.lock.idle();
    },
  };
}

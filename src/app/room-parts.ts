import { type Aliases, createAliases } from '../directory/aliases.ts';
import { createHierarchy, type Hierarchy } from '../directory/hierarchy.ts';
import { createLocalRooms } from '../directory/local-rooms.ts';
import { createPublicRooms, type PublicRooms } from '../directory/public-rooms.ts';
import { createRemoteRooms } from '../directory/remote-rooms.ts';
import { createRoomSummaries, type RoomSummaries } from '../directory/summary.ts';
import { checkSignatures, learnKeys } from '../federation-out/signature-checks.ts';
import { MatrixError } from '../matrix/errors.ts';
import type { Presence } from '../presence/types.ts';
import { createRooms, type Rooms, type RoomsDeps } from '../rooms/rooms.ts';
import type { Roster } from '../roster/roster.ts';
import { signJson } from '../signing/sign-json.ts';
import type { Storage } from '../storage/contract/storage.ts';
import { positionOfSyncToken } from '../sync/token.ts';
import { noticesSender } from './notices-sender.ts';
import type { Outgoing } from './outgoing.ts';
import type { ServiceParts } from './service-parts.ts';
import type { Surroundings } from './surroundings.ts';

export interface RoomParts {
  readonly rooms: Rooms;
  readonly aliases: Aliases;
  readonly publicRooms: PublicRooms;
  readonly hierarchy: Hierarchy;
  readonly summaries: RoomSummaries;
}

interface RoomNeighbours {
  readonly storage: Storage;
  readonly roster: Roster;
  readonly outgoing: Outgoing;
  readonly services: Pick<ServiceParts, 'asking' | 'aliasRight'>;
  readonly presence: Pick<Presence, 'rowsForAudienceChange'>;
  readonly notify: RoomsDeps['ports']['rowsForNotifications'];
}

/** Rooms and the directory, which ask each other: which rooms an alias leads to, and who may name a room. */
export function createRoomParts(surroundings: Surroundings, neighbours: RoomNeighbours): RoomParts {
  const { config, clock, log, random, signer } = surroundings;
  const { storage, roster, outgoing, services, presence, notify } = neighbours;
  const serverName = config.server_name;
  const rooms = createRooms({
    storage,
    clock,
    log,
    random,
    serverName,
    sign: (object) => signJson(object, signer),
    roster,
    requests: outgoing.requests,
    flushOutgoing: (server) => outgoing.sender.flush(server),
    checkSignatures: (checks, options) => checkSignatures(outgoing.keyRing, checks, options),
    learnKeys: (wanted) => learnKeys(outgoing.keyRing, wanted),
    defaultRoomVersion: config.rooms.default_version,
    publishing: config.rooms.publishing,
    noticesSender: noticesSender(config),
    ports: {
      findProfile: (userId) => storage.accounts.findProfile(userId),
      askForUser: services.asking.askForUser,
      mayMakeAlias: (alias, serviceId) => services.aliasRight(alias, serviceId) !== 'reserved',
      rowsForAudienceChange: (steps) => presence.rowsForAudienceChange(steps),
      rowsForNotifications: notify,
      resolveAlias: (alias) => aliases.resolve(alias).catch(undefinedWhenNotFound),
      positionOfSyncToken,
    },
  });
  const aliases = createAliases({
    storage,
    serverName,
    roster,
    requests: outgoing.requests,
    aliasRight: services.aliasRight,
    askForAlias: services.asking.askForAlias,
    ...rooms.aliasPorts,
  });
  const publicRooms = createPublicRooms({
    storage,
    serverName,
    requests: outgoing.requests,
    publishing: config.rooms.publishing,
    shownToServers: config.rooms.list_shown_to_servers,
    maySetCanonicalAlias: rooms.aliasPorts.maySetCanonicalAlias,
  });
  const local = createLocalRooms({ storage, roster, serverName });
  const remote = createRemoteRooms({ requests: outgoing.requests, roster, serverName, clock });
  const hierarchy = createHierarchy({ local, remote, clock, random });
  return { rooms, aliases, publicRooms, hierarchy, summaries: createRoomSummaries({ local, remote }) };
}

function undefinedWhenNotFound(error: unknown): undefined {
  if (error instanceof MatrixError) return undefined;
  throw error;
}

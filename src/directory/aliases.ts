import { FederationError, type FederationRequests } from '../federation-out/requests-contract.ts';
import { exclusive, forbidden, invalidParam, MatrixError, notFound } from '../matrix/errors.ts';
import { isRoomAlias, type RoomAlias, type RoomId, serverOfAlias, type UserId } from '../matrix/ids.ts';
import type { ServerName } from '../matrix/server-name.ts';
import type { Roster } from '../roster/roster.ts';
import type { Storage } from '../storage/contract/storage.ts';

export interface AliasesDeps {
  readonly storage: Pick<Storage, 'directory' | 'commit'>;
  readonly serverName: ServerName;
  readonly roster: Pick<Roster, 'isJoined' | 'serversIn'>;
  readonly requests: Pick<FederationRequests, 'queryDirectory'>;
  /** Whether the user's power suffices to send `m.room.canonical_alias` in the room. */
  readonly maySetCanonicalAlias: (roomId: RoomId, userId: UserId) => Promise<boolean>;
  /** Takes the alias out of the room's `m.room.canonical_alias` in this user's name; does nothing where they may not. */
  readonly withdrawCanonicalAlias: (roomId: RoomId, userId: UserId, alias: RoomAlias) => Promise<void>;
  /** own: the service's, to do with as it likes. open: anybody's to make. reserved: for others. All are open when not given. */
  readonly aliasRight?: (alias: RoomAlias, serviceId: string | undefined) => 'own' | 'open' | 'reserved';
  /** Asks whoever makes aliases when they are looked for; true when this one is there now. Nobody when not given. */
  readonly askForAlias?: (alias: RoomAlias) => Promise<boolean>;
}

/** Whose wish it is; `service` where an application service acts as the user. */
export interface AliasRequester {
  readonly userId: UserId;
  readonly service?: { readonly id: string };
}

export interface ResolvedAlias {
  readonly roomId: RoomId;
  /** Servers that can be asked to join, the most promising first. */
  readonly servers: readonly ServerName[];
}

export interface Aliases {
  /**
   * Client-server API, `PUT /directory/room/{roomAlias}`: for members of the room, and for a service whose alias it is. 409 when the alias is taken, M_EXCLUSIVE when
   * it is reserved.
   */
  create(requester: AliasRequester, alias: RoomAlias, roomId: RoomId): Promise<void>;
  /** For whoever made the alias, may set the room's canonical alias, or is the service whose it is. Throws M_NOT_FOUND, M_FORBIDDEN, M_EXCLUSIVE. */
  remove(requester: AliasRequester, alias: RoomAlias): Promise<void>;
  /** Asks the alias's own server if that is not us, or who makes such aliases here. Throws M_NOT_FOUND. */
  resolve(alias: RoomAlias): Promise<ResolvedAlias>;
  /** Only what this server knows itself, or whom it asks here: what other servers are told. */
  findLocal(alias: RoomAlias): Promise<ResolvedAlias | undefined>;
  list(roomId: RoomId): Promise<RoomAlias[]>;
}

/** How many servers are named beside an alias. */
const serversMax = 50;

/** The aliases of this server, and the way to those of others. */
export function createAliases(deps: AliasesDeps): Aliases {
  const { storage, serverName, roster } = deps;

  /** Throws M_EXCLUSIVE. */
  function rightOf({ service }: AliasRequester, alias: RoomAlias): 'own' | 'open' {
    const right = deps.aliasRight?.(alias, service?.id) ?? 'open';
    if (right === 'reserved') throw exclusive('The alias is reserved for an application service');
    return right;
  }

  async function findLocal(alias: RoomAlias): Promise<ResolvedAlias | undefined> {
    let row = await storage.directory.findAlias(alias);
    if (!row && (await deps.askForAlias?.(alias))) row = await storage.directory.findAlias(alias);
    if (!row) return undefined;
    const others = [...roster.serversIn(row.roomId)].filter((server) => server !== serverName);
    return { roomId: row.roomId, servers: [serverName, ...others.slice(0, serversMax - 1)] };
  }

  return {
    findLocal,

    async create(requester, alias, roomId) {
      if (serverOfAlias(alias) !== serverName) throw invalidParam('An alias can only be made on its own server');
      const { userId } = requester;
      if (rightOf(requester, alias) === 'open' && !roster.isJoined(roomId, userId)) {
        throw forbidden('You are not in this room');
      }
      const result = await storage.commit({
        rows: [{ kind: 'alias', alias, roomId, creator: userId }],
        expect: [{ kind: 'alias_unused', alias }],
      });
      if (result.outcome === 'conflict') throw new MatrixError(409, 'M_UNKNOWN', 'This alias is already in use');
    },

    async remove(requester, alias) {
      const row = await storage.directory.findAlias(alias);
      if (!row) throw notFound('There is no such alias on this server');
      const { userId } = requester;
      const mayRemove = rightOf(requester, alias) === 'own' || row.creator === userId;
      if (!mayRemove && !(await deps.maySetCanonicalAlias(row.roomId, userId))) {
        throw forbidden('You may not remove this alias');
      }
      await storage.commit({ rows: [{ kind: 'alias_removed', alias }] });
      await deps.withdrawCanonicalAlias(row.roomId, userId, alias);
    },

    async resolve(alias) {
      const server = serverOfAlias(alias);
      if (server === serverName) {
        const found = await findLocal(alias);
        if (!found) throw notFound('There is no such room alias');
        return found;
      }
      try {
        const { roomId, servers } = await deps.requests.queryDirectory(server, alias);
        return { roomId, servers: [...new Set([server, ...servers])].slice(0, serversMax) };
      } catch (error) {
        if (!(error instanceof FederationError)) throw error;
        if (error.outcome === 'refused') throw notFound('There is no such room alias');
        throw notFound('The server of this alias cannot be asked now');
      }
    },

    async list(roomId) {
      return (await storage.directory.listAliases(roomId)).map((row) => row.alias);
    },
  };
}

/** Throws M_INVALID_PARAM unless this is a room alias. */
export function parseRoomAlias(value: string): RoomAlias {
  if (!isRoomAlias(value)) throw invalidParam('This is not a room alias');
  return value;
}

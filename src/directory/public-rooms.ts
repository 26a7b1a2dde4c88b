import {
  FederationError,
  type FederationRequests,
  type PublicRoomsAnswer,
} from '../federation-out/requests-contract.ts';
import { forbidden, invalidParam, notFound } from '../matrix/errors.ts';
import { isRoomId, type RoomId, type UserId } from '../matrix/ids.ts';
import type { ServerName } from '../matrix/server-name.ts';
import type { ListedRoom, PublicRoomPlace, RoomList } from '../storage/contract/directory.ts';
import type { Storage } from '../storage/contract/storage.ts';
import { type PublicRoom, parseRoom, presentRoom } from './listed-room.ts';

export interface PublicRoomsDeps {
  readonly storage: Pick<Storage, 'directory' | 'rooms' | 'commit'>;
  readonly serverName: ServerName;
  readonly requests: Pick<FederationRequests, 'queryPublicRooms'>;
  /** Whether users may put rooms into the list at all. */
  readonly publishing: boolean;
  /** Whether other servers may read it. */
  readonly shownToServers: boolean;
  /** Whether the user's power suffices to send `m.room.canonical_alias` in the room. */
  readonly maySetCanonicalAlias: (roomId: RoomId, userId: UserId) => Promise<boolean>;
}

/** What somebody wants to see of a list of rooms. */
export interface PublicRoomsRequest {
  /** At most so many; the server may give fewer. */
  readonly limit?: number | undefined;
  readonly since?: string | undefined;
  readonly filter?:
    | {
        readonly generic_search_term?: string | undefined;
        readonly room_types?: readonly (string | null)[] | undefined;
      }
    | undefined;
  readonly include_all_networks?: boolean | undefined;
  readonly third_party_instance_id?: string | undefined;
}

export interface PublicRoomsPage {
  readonly chunk: readonly PublicRoom[];
  readonly next_batch?: string;
  readonly prev_batch?: string;
  readonly total_room_count_estimate?: number;
}

/** A network as the service that bridges to it calls it; clients know it as `serviceId|networkId`. */
export interface ServiceNetwork {
  readonly serviceId: string;
  readonly networkId: string;
}

/** Client-server and server-server API, "Published room directory". */
export interface PublicRooms {
  /**
   * The list of a server; undefined is this one. Throws M_INVALID_PARAM for a token of nobody's, M_FORBIDDEN where the other server shows
   * none, and M_NOT_FOUND where it cannot be asked or knows no such list.
   */
  list(server: ServerName | undefined, request: PublicRoomsRequest): Promise<PublicRoomsPage>;
  /** This server's own list for another server. Throws M_FORBIDDEN where they may not read it. */
  listForServer(request: PublicRoomsRequest): Promise<PublicRoomsPage>;
  /** Throws M_NOT_FOUND for a room that is not known here. */
  getVisibility(roomId: RoomId): Promise<'public' | 'private'>;
  /**
   * Whether the room is in the list of a network that the application service bridges to; a room that is not open is not shown all the
   * same. M_NOT_FOUND as above.
   */
  setNetworkVisibility(network: ServiceNetwork, roomId: RoomId, visibility: 'public' | 'private'): Promise<void>;
  /** Whether the room is in the public list. For whoever may set the room's canonical alias. M_NOT_FOUND as above. */
  setVisibility(requester: UserId, roomId: RoomId, visibility: 'public' | 'private'): Promise<void>;
}

const roomsPerPageMax = 100;
/** No longer text is worth a walk through the list. */
const searchLengthMax = 500;

export function createPublicRooms(deps: PublicRoomsDeps): PublicRooms {
  const { storage } = deps;
  const { directory } = storage;

  async function checkKnown(roomId: RoomId): Promise<void> {
    if (!(await storage.rooms.find(roomId))) throw notFound('The room is not known to the server');
  }

  async function listOwn(request: PublicRoomsRequest): Promise<PublicRoomsPage> {
    const { from, direction } = parseSince(request.since);
    if (request.include_all_networks === true && request.third_party_instance_id !== undefined) {
      throw invalidParam('third_party_instance_id can only be used if include_all_networks is false');
    }
    const limit = pageSizeOf(request);
    const search = request.filter?.generic_search_term ?? '';
    if (search.length > searchLengthMax) throw invalidParam('generic_search_term is too long');
    const list = listOf(request);
    const found = await directory.listPublicRooms({
      list,
      from,
      direction,
      limit: limit + 1,
      search: search === '' ? null : search,
      roomTypes: request.filter?.room_types ?? null,
    });
    const isCut = found.length > limit;
    const shown = direction === 'forward' ? found.slice(0, limit) : found.slice(isCut ? 1 : 0);
    return {
      chunk: shown.map(presentRoom),
      ...batches(shown, { from, direction, isCut }),
      total_room_count_estimate: await directory.countPublicRooms(list),
    };
  }

  return {
    async list(server, request) {
      if (server === undefined || server === deps.serverName) return listOwn(request);
      try {
        const asked = { ...request, limit: pageSizeOf(request) };
        return presentElsewhere(await deps.requests.queryPublicRooms(server, asked));
      } catch (error) {
        if (!(error instanceof FederationError)) throw error;
        if (error.status === 403) throw forbidden('That server does not show its rooms');
        throw notFound('The list of that server cannot be had now');
      }
    },

    async listForServer(request) {
      if (!deps.shownToServers) throw forbidden('This server does not show its rooms to others');
      return listOwn(request);
    },

    async getVisibility(roomId) {
      await checkKnown(roomId);
      return directory.getVisibility(roomId);
    },

    async setNetworkVisibility({ serviceId, networkId }, roomId, visibility) {
      await checkKnown(roomId);
      const network = `${serviceId}|${networkId}`;
      await storage.commit({ rows: [{ kind: 'network_room', network, roomId, visibility }] });
    },

    async setVisibility(requester, roomId, visibility) {
      await checkKnown(roomId);
      const mayPublish = deps.publishing || visibility === 'private';
      if (!mayPublish || !(await deps.maySetCanonicalAlias(roomId, requester))) {
        throw forbidden('You may not change whether this room is listed');
      }
      await storage.commit({ rows: [{ kind: 'room_visibility', roomId, visibility }] });
    },
  };
}

/** "Whether or not to include all known networks/protocols from application services"; without either only the server's own list. */
function listOf({ include_all_networks: all, third_party_instance_id: network }: PublicRoomsRequest): RoomList {
  if (network !== undefined) return { network };
  return all === true ? 'all' : 'own';
}

function pageSizeOf({ limit }: PublicRoomsRequest): number {
  return limit === undefined || limit <= 0 ? roomsPerPageMax : Math.min(limit, roomsPerPageMax);
}

interface Start {
  readonly from: PublicRoomPlace | null;
  readonly direction: 'forward' | 'backward';
}

/**
 * A token names a room of the list and how large it was when it was shown, and the direction from there. So what other rooms do meanwhile
 * neither hides nor repeats any that keeps its size.
 */
function parseSince(since: string | undefined): Start {
  if (since === undefined) return { from: null, direction: 'forward' };
  const match = /^([np])(\d{1,15})_(.+)$/s.exec(since);
  const roomId = match?.[3];
  if (!isRoomId(roomId)) throw invalidParam('since is not a token of this list');
  return {
    from: { joinedMembers: Number(match?.[2]), roomId },
    direction: match?.[1] === 'n' ? 'forward' : 'backward',
  };
}

function batches(
  shown: readonly ListedRoom[],
  { from, direction, isCut }: Start & { readonly isCut: boolean },
): { next_batch?: string; prev_batch?: string } {
  const [first, last] = [shown[0], shown.at(-1)];
  if (!first || !last) return {};
  const hasNext = direction === 'forward' ? isCut : from !== null;
  const hasPrevious = direction === 'forward' ? from !== null : isCut;
  return {
    ...(hasNext ? { next_batch: `n${last.joinedMembers}_${last.roomId}` } : {}),
    ...(hasPrevious ? { prev_batch: `p${first.joinedMembers}_${first.roomId}` } : {}),
  };
}

/** What another server says, as far as it has the right shape; a room without an id is left out. */
function presentElsewhere({ chunk, nextBatch, prevBatch, total }: PublicRoomsAnswer): PublicRoomsPage {
  return {
    chunk: chunk.slice(0, roomsPerPageMax).flatMap((entry) => parseRoom(entry) ?? []),
    ...(nextBatch === undefined ? {} : { next_batch: nextBatch }),
    ...(prevBatch === undefined ? {} : { prev_batch: prevBatch }),
    ...(total === undefined ? {} : { total_room_count_estimate: total }),
  };
}

import { notFound } from '../matrix/errors.ts';
import { type RoomAlias, type RoomId, serverOfAlias, serverOfUser, type UserId } from '../matrix/ids.ts';
import type { JsonObject } from '../matrix/pdu.ts';
import type { ServerName } from '../matrix/server-name.ts';
import type { Storage } from '../storage/contract/storage.ts';

export interface QueryServerDeps {
  readonly serverName: ServerName;
  readonly storage: Pick<Storage, 'accounts' | 'directory' | 'rooms'>;
}

/** What other servers may ask about our users and aliases. */
export interface QueryServer {
  /** One field or the whole profile of a local user; fields that are not set are left out. Throws 404 M_NOT_FOUND. */
  queryProfile(userId: UserId, field?: string): Promise<JsonObject>;
  /** Where a local alias leads and through which servers to join. Throws 404 M_NOT_FOUND. */
  queryDirectory(alias: RoomAlias): Promise<{ room_id: RoomId; servers: ServerName[] }>;
  /**
   * The local user's devices (server-server API, "user/devices"). Devices have no encryption keys here, so the list
   * is empty, as it is for a user who never uploaded any. Throws 404 M_NOT_FOUND for nobody's id.
   */
  listDevices(userId: UserId): Promise<{ user_id: UserId; stream_id: number; devices: never[] }>;
}

/** Servers named in an answer about an alias. */
const serversMax = 20;

export function createQueryServer(deps: QueryServerDeps): QueryServer {
  const { storage, serverName } = deps;
  const requireAccount = async (userId: UserId): Promise<void> => {
    const account = serverOfUser(userId) === serverName ? await storage.accounts.findAccount(userId) : undefined;
    if (!account || account.deactivatedAtMs !== null) throw notFound('No such user here');
  };
  return {
    async queryProfile(userId, field) {
      await requireAccount(userId);
      const profile = await storage.accounts.findProfile(userId);
      const fields = await storage.accounts.listProfileFields(userId);
      const whole = { displayname: profile?.displayname ?? null, avatar_url: profile?.avatarUrl ?? null, ...fields };
      const asked = Object.entries(whole).filter(
        ([name, value]) => value !== null && (field === undefined || field === name),
      );
      return Object.fromEntries(asked);
    },
    async queryDirectory(alias) {
      const found = serverOfAlias(alias) === serverName ? await storage.directory.findAlias(alias) : undefined;
      if (!found) throw notFound('No such alias here');
      const servers = await storage.rooms.listJoinedServers(found.roomId);
      return { room_id: found.roomId, servers: servers.slice(0, serversMax) };
    },
    async listDevices(userId) {
      await requireAccount(userId);
      return { user_id: userId, stream_id: 0, devices: [] };
    },
  };
}

import type { ClaimedKeys } from '../e2ee/keys/claim.ts';
import type { KeyQueryAnswer, QueriedUsers } from '../e2ee/keys/query.ts';
import type { Keys } from '../e2ee/keys.ts';
import { invalidParam, notFound } from '../matrix/errors.ts';
import { type RoomAlias, type RoomId, serverOfAlias, serverOfUser, type UserId } from '../matrix/ids.ts';
import type { JsonObject } from '../matrix/pdu.ts';
import type { ServerName } from '../matrix/server-name.ts';
import type { KeyWish } from '../storage/contract/one-time-keys.ts';
import type { Storage } from '../storage/contract/storage.ts';

export interface QueryServerDeps {
  readonly serverName: ServerName;
  readonly storage: Pick<Storage, 'accounts' | 'directory' | 'rooms'>;
  readonly keys: Pick<Keys, 'own' | 'claims'>;
  /** Whoever makes users and aliases when they are looked for; true when this one is there now. Nobody when not given. */
  readonly asking?: {
    askForUser(userId: UserId): Promise<boolean>;
    askForAlias(alias: RoomAlias): Promise<boolean>;
  };
}

/** What other servers may ask about our users and aliases. */
export interface QueryServer {
  /** One field or the whole profile of a local user; fields that are not set are left out. Throws 404 M_NOT_FOUND. */
  queryProfile(userId: UserId, field?: string): Promise<JsonObject>;
  /** Where a local alias leads and through which servers to join. Throws 404 M_NOT_FOUND. */
  queryDirectory(alias: RoomAlias): Promise<{ room_id: RoomId; servers: ServerName[] }>;
  /** The local user's devices (server-server API, "user/devices"). Throws 404 M_NOT_FOUND for nobody's id. */
  listDevices(userId: UserId): Promise<JsonObject>;
  /** Keys of local users (server-server API, "user/keys/query"). Throws M_INVALID_PARAM when another is among them. */
  queryKeys(users: QueriedUsers): Promise<KeyQueryAnswer>;
  /** One-time keys of local users' devices (server-server API, "user/keys/claim"). Throws as `queryKeys`. */
  claimKeys(wishes: readonly KeyWish[]): Promise<{ one_time_keys: ClaimedKeys }>;
}

/** Servers named in an answer about an alias. */
const serversMax = 20;

export function createQueryServer(deps: QueryServerDeps): QueryServer {
  const { storage, serverName } = deps;
  const requireAccount = async (userId: UserId): Promise<void> => {
    const isOurs = serverOfUser(userId) === serverName;
    let account = isOurs ? await storage.accounts.findAccount(userId) : undefined;
    if (isOurs && !account && (await deps.asking?.askForUser(userId)))
      account = await storage.accounts.findAccount(userId);
    if (!account || account.deactivatedAtMs !== null) throw notFound('No such user here');
  };
  const checkOwn = (userIds: Iterable<UserId>): void => {
    for (const userId of userIds)
      if (serverOfUser(userId) !== serverName) throw invalidParam('Only users of this server have their keys here');
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
      const isOurs = serverOfAlias(alias) === serverName;
      let found = isOurs ? await storage.directory.findAlias(alias) : undefined;
      if (isOurs && !found && (await deps.asking?.askForAlias(alias))) found = await storage.directory.findAlias(alias);
      if (!found) throw notFound('No such alias here');
      const servers = await storage.rooms.listJoinedServers(found.roomId);
      return { room_id: found.roomId, servers: servers.slice(0, serversMax) };
    },
    async listDevices(userId) {
      await requireAccount(userId);
      return deps.keys.own.listDevices(userId);
    },
    async queryKeys(users) {
      checkOwn(users.keys());
      return deps.keys.own.query(users);
    },
    async claimKeys(wishes) {
      checkOwn(wishes.map(({ userId }) => userId));
      return deps.keys.claims.claimOwn(wishes);
    },
  };
}

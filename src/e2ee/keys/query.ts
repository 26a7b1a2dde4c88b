import { breathe } from '../../base/breathe.ts';
import type { Clock } from '../../base/clock.ts';
import { groupBy } from '../../base/group-by.ts';
import type { FederationRequests } from '../../federation-out/requests-contract.ts';
import { type DeviceId, serverOfUser, type UserId } from '../../matrix/ids.ts';
import type { JsonObject } from '../../matrix/pdu.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import type { RemoteDeviceList } from '../../storage/contract/device-lists.ts';
import type { Storage } from '../../storage/contract/storage.ts';
import { askServers, type KeyFailures } from './by-server.ts';
import { parseQueriedUser } from './remote-answers.ts';
import { listOwnKeys, presentDevice, type UserKeys, withSignatures } from './user-keys.ts';

/** User → their devices; none: all. */
export type QueriedUsers = ReadonlyMap<UserId, readonly DeviceId[]>;

/** Each member: user → what is known of them. */
export interface KeyQueryAnswer extends Record<string, Record<string, unknown>> {
  device_keys: JsonObject;
  master_keys: JsonObject;
  self_signing_keys: JsonObject;
}

export interface KeyQueries {
  /** `POST /keys/query`: local users from storage, remote ones from copies that are kept up to date, else from their servers. */
  query(query: {
    readonly viewer: UserId;
    readonly users: QueriedUsers;
    readonly timeoutMs: number | undefined;
  }): Promise<KeyQueryAnswer & { user_signing_keys: JsonObject; failures: KeyFailures }>;
  /** The keys of users, as far as they can be had, with the signatures that the viewer may see. */
  listUserKeys(viewer: UserId, userIds: readonly UserId[]): Promise<ReadonlyMap<UserId, UserKeys>>;
}

export interface KeyQueryDeps {
  readonly serverName: ServerName;
  readonly storage: Pick<Storage, 'crossSigning' | 'deviceKeys' | 'deviceLists' | 'commit' | 'position'>;
  readonly requests: Pick<FederationRequests, 'queryUserKeys'>;
  /** Whether the remote user is in a room with one of ours: only then their server tells of changes. */
  readonly sharesRoom: (userId: UserId) => boolean;
  readonly clock: Clock;
}

export function createKeyQueries(deps: KeyQueryDeps): KeyQueries {
  const { storage, serverName } = deps;
  const isLocal = (userId: UserId): boolean => serverOfUser(userId) === serverName;

  async function askServer(server: ServerName, users: QueriedUsers, timeoutMs: number): Promise<RemoteDeviceList[]> {
    // What is told of these users from here on may be newer than the answer.
    const since = storage.position();
    const answer = await deps.requests.queryUserKeys(server, Object.fromEntries(users), timeoutMs);
    const lists = [...users.keys()].flatMap((userId) => parseQueriedUser(answer, userId) ?? []);
    const whole = lists.filter(({ userId }) => users.get(userId)?.length === 0);
    await Promise.all(whole.map((list) => keep(list, since)));
    return lists;
  }

  /** "it should populate a local cache from the result of a `/user/keys/query`" (server-server API, "Device Management"). */
  async function keep(list: RemoteDeviceList, since: number): Promise<void> {
    const { userId } = list;
    if (!deps.sharesRoom(userId)) return;
    await storage.commit({
      rows: [{ kind: 'remote_device_list', ...list, fetchedAtMs: deps.clock.now() }],
      expect: [{ kind: 'device_list_unchanged', userId, since }],
    });
  }

  async function findAll(
    viewer: UserId,
    users: QueriedUsers,
    timeoutMs: number | undefined,
  ): Promise<{ found: Map<UserId, UserKeys>; failures: KeyFailures }> {
    const local = [...users.keys()].filter(isLocal);
    const remote = [...users.keys()].filter((userId) => !isLocal(userId));
    const own = local.length === 0 ? new Map<UserId, UserKeys>() : await listOwnKeys(storage, local, viewer);
    if (remote.length === 0) return { found: own, failures: {} };
    const lists = (await storage.deviceLists.listFreshLists(remote)).filter(({ userId }) => deps.sharesRoom(userId));
    const known = new Set(lists.map(({ userId }) => userId));
    const toAsk = groupBy(
      [...users].filter(([userId]) => !isLocal(userId) && !known.has(userId)),
      ([userId]) => serverOfUser(userId),
    );
    const questions = new Map([...toAsk].map(([server, entries]) => [server, new Map(entries)]));
    const failures = await askServers(questions, { timeoutMs, clock: deps.clock }, async (server, asked, leftMs) => {
      lists.push(...(await askServer(server, asked, leftMs)));
    });
    const others = await withSignatures(
      storage,
      lists.map((list) => ({ ...list, userSigningKey: null })),
      viewer,
    );
    return { found: new Map([...own, ...others]), failures };
  }

  return {
    async query({ viewer, users, timeoutMs }) {
      const { found, failures } = await findAll(viewer, users, timeoutMs);
      const userSigning = found.get(viewer)?.userSigningKey;
      return {
        failures,
        ...(await presentUsers(found, users, true)),
        user_signing_keys: userSigning ? Object.fromEntries([[viewer, userSigning]]) : {},
      };
    },
    async listUserKeys(viewer, userIds) {
      const users = new Map(userIds.map((userId): [UserId, DeviceId[]] => [userId, []]));
      return (await findAll(viewer, users, undefined)).found;
    },
  };
}

/** The part of an answer that clients and servers are given alike. */
export async function presentUsers(
  found: ReadonlyMap<UserId, UserKeys>,
  users: QueriedUsers,
  showNames: boolean,
): Promise<KeyQueryAnswer> {
  const devices: [UserId, JsonObject][] = [];
  const master: [UserId, JsonObject][] = [];
  const selfSigning: [UserId, JsonObject][] = [];
  for (const [userId, deviceIds] of users) {
    await breathe();
    const keys = found.get(userId);
    if (!keys) continue;
    const wanted = deviceIds.length === 0 ? undefined : new Set(deviceIds);
    const ofUser = keys.devices.flatMap((device): [DeviceId, JsonObject][] => {
      if (wanted && !wanted.has(device.deviceId)) return [];
      const shown = presentDevice(device, showNames);
      return shown ? [[device.deviceId, shown]] : [];
    });
    devices.push([userId, Object.fromEntries(ofUser)]);
    if (keys.masterKey) master.push([userId, keys.masterKey]);
    if (keys.selfSigningKey) selfSigning.push([userId, keys.selfSigningKey]);
  }
  return {
    device_keys: Object.fromEntries(devices),
    master_keys: Object.fromEntries(master),
    self_signing_keys: Object.fromEntries(selfSigning),
  };
}

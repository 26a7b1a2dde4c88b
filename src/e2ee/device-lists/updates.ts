import { breathe } from '../../base/breathe.ts';
import type { Reaction } from '../../feed/feed.ts';
import type { Edu } from '../../matrix/edu.ts';
import { type DeviceId, type RoomId, serverOfUser, type UserId } from '../../matrix/ids.ts';
import type { JsonObject } from '../../matrix/pdu.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import type { Roster } from '../../roster/roster.ts';
import type { LoggedChange } from '../../storage/contract/changes.ts';
import type { Row } from '../../storage/contract/commit.ts';
import type { Storage } from '../../storage/contract/storage.ts';
import { listOwnKeys, type UserKeys } from '../keys/user-keys.ts';

export interface DeviceListUpdateDeps {
  readonly serverName: ServerName;
  readonly storage: Pick<Storage, 'crossSigning' | 'deviceKeys' | 'deviceLists'>;
  readonly roster: Pick<Roster, 'isJoined' | 'roomsOf' | 'serversIn' | 'serversSharingWith'>;
  /** Whether other servers are told what our users call their devices. */
  readonly shareDeviceNames: boolean;
}

/** Devices of which a server is told at once. Whoever wants the others asks for all. */
const devicesToldMax = 20;

/**
 * Tells other servers of our users' devices: "Servers must send `m.device_list_update` EDUs to all the servers who share a room with a given
 * local user, … whenever that user's device list changes (i.e. for new or deleted devices, when that user joins a room which contains servers which are
 * not already receiving updates …)" (server-server API, "Device Management"). One reaction for both, so that the numbers go up one by one.
 */
export function createDeviceListUpdates(deps: DeviceListUpdateDeps): Reaction {
  const isOwn = (userId: UserId): boolean => serverOfUser(userId) === deps.serverName;
  return {
    name: 'device_list_updates',
    kinds: ['device_list', 'membership'],
    concerns(change) {
      if (change.kind === 'device_list') return change.viewer === null && isOwn(change.userId);
      return change.kind === 'membership' && isJoin(change) && isOwn(change.userId);
    },
    async react(change) {
      if (change.kind === 'device_list') return rowsOfChange(deps, change);
      return change.kind === 'membership' ? rowsOfJoin(deps, change.userId, change.roomId) : [];
    },
  };
}

export function isJoin(change: Extract<LoggedChange, { kind: 'membership' }>): boolean {
  return change.after === 'join' && change.before !== 'join';
}

async function rowsOfChange(
  deps: DeviceListUpdateDeps,
  change: Extract<LoggedChange, { kind: 'device_list' }>,
): Promise<Row[]> {
  const { userId } = change;
  const destinations = [...deps.roster.serversSharingWith(userId)].filter((server) => server !== deps.serverName);
  const stream = await deps.storage.deviceLists.findStream(userId);
  const keys = await getKeys(deps, userId);
  let streamId = stream?.streamId ?? 0;
  let broadcastId = stream?.broadcastId ?? null;
  const rows: Row[] = [];
  let told = change.deviceIds;
  if (told.length > devicesToldMax) {
    // The newest after a number that nobody was told of, so that whoever gets it asks for all: each device of each server would be a row of this commit.
    told = told.slice(-1);
    streamId += 1;
    broadcastId = streamId;
  }
  for (const deviceId of told) {
    streamId += 1;
    const edu = updateOf(deps, keys, { deviceId, streamId, prevId: broadcastId });
    rows.push(...addressed(destinations, edu, { key: keyOf(userId, deviceId), series: `device_list ${userId}` }));
    broadcastId = streamId;
    await breathe();
  }
  if (change.signingKeys)
    for (const edu of signingKeyUpdates(keys)) {
      const key = keyOf(userId, edu.edu_type);
      rows.push(...addressed(destinations, edu, { key, series: key }));
    }
  if (streamId !== stream?.streamId && change.deviceIds.length > 0)
    rows.push({ kind: 'device_list_stream', userId, streamId, broadcastId });
  return rows;
}

/**
 * These go beside the sequence that everybody gets: they point at its last number, so that a server which missed some of it asks, and the next one
 * of the sequence still follows for those who were here before.
 */
async function rowsOfJoin(deps: DeviceListUpdateDeps, userId: UserId, roomId: RoomId): Promise<Row[]> {
  if (!deps.roster.isJoined(roomId, userId)) return [];
  const destinations = await listNewServers(deps, userId, roomId);
  if (destinations.length === 0) return [];
  const stream = await deps.storage.deviceLists.findStream(userId);
  const keys = await getKeys(deps, userId);
  const broadcastId = stream?.broadcastId ?? null;
  let streamId = stream?.streamId ?? 0;
  const rows: Row[] = [];
  for (const { deviceId } of keys.devices.slice(0, devicesToldMax)) {
    streamId += 1;
    const edu = updateOf(deps, keys, { deviceId, streamId, prevId: broadcastId });
    rows.push(...addressed(destinations, edu, { key: keyOf(userId, deviceId), series: `device_list ${userId}` }));
    await breathe();
  }
  if (rows.length > 0) rows.push({ kind: 'device_list_stream', userId, streamId, broadcastId });
  return rows;
}

/** The other servers in the room with which the user shares no other one. */
async function listNewServers(deps: DeviceListUpdateDeps, userId: UserId, joined: RoomId): Promise<ServerName[]> {
  const servers = new Set(deps.roster.serversIn(joined));
  servers.delete(deps.serverName);
  for (const roomId of [...deps.roster.roomsOf(userId)]) {
    if (servers.size === 0) break;
    if (roomId === joined) continue;
    for (const server of deps.roster.serversIn(roomId)) servers.delete(server);
    await breathe();
  }
  return [...servers];
}

async function getKeys({ storage }: DeviceListUpdateDeps, userId: UserId): Promise<UserKeys> {
  const none: UserKeys = { userId, devices: [], masterKey: null, selfSigningKey: null, userSigningKey: null };
  return (await listOwnKeys(storage, [userId], null)).get(userId) ?? none;
}

/** Of what waits for a server that does not answer, the newest of each device is enough: it asks when one is missing. */
function keyOf(userId: UserId, what: string): string {
  return `device_list ${userId} ${what}`;
}

/** If very much waits, one update of a user is enough: it continues another one than the server has, which asks for all. */
function addressed(
  destinations: readonly ServerName[],
  edu: Edu,
  place: { readonly key: string; readonly series: string },
): Row[] {
  return destinations.map((destination): Row => ({ kind: 'outgoing_edu', destination, edu, ...place }));
}

function updateOf(
  { shareDeviceNames }: DeviceListUpdateDeps,
  { userId, devices }: UserKeys,
  update: { readonly deviceId: DeviceId; readonly streamId: number; readonly prevId: number | null },
): Edu {
  const { deviceId, streamId, prevId } = update;
  const device = devices.find((one) => one.deviceId === deviceId);
  const about: JsonObject = device
    ? {
        ...(device.keys === null ? {} : { keys: device.keys }),
        ...(shareDeviceNames && device.displayName !== null ? { device_display_name: device.displayName } : {}),
      }
    : { deleted: true };
  return {
    edu_type: 'm.device_list_update',
    content: {
      user_id: userId,
      device_id: deviceId,
      stream_id: streamId,
      prev_id: prevId === null ? [] : [prevId],
      ...about,
    },
  };
}

/** Under both names: servers from before v1.1 know the second. */
function signingKeyUpdates({ userId, masterKey, selfSigningKey }: UserKeys): Edu[] {
  if (!masterKey && !selfSigningKey) return [];
  const content = {
    user_id: userId,
    ...(masterKey ? { master_key: masterKey } : {}),
    ...(selfSigningKey ? { self_signing_key: selfSigningKey } : {}),
  };
  return ['m.signing_key_update', 'org.matrix.signing_key_update'].map((edu_type) => ({ edu_type, content }));
}

import type { Clock } from '../../base/clock.ts';
import { canonicalJson } from '../../base/json/canonical-json.ts';
import { Serial } from '../../base/tasks/serial.ts';
import { type DeviceId, isUserId, serverOfUser, type UserId } from '../../matrix/ids.ts';
import type { JsonObject } from '../../matrix/pdu.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import type { Row } from '../../storage/contract/commit.ts';
import type { RemoteDeviceListState } from '../../storage/contract/device-lists.ts';
import type { Storage } from '../../storage/contract/storage.ts';
import {
  isDeviceId,
  isStreamId,
  parseDisplayName,
  parseRemoteDeviceKeys,
  parseSigningKey,
} from '../keys/remote-answers.ts';

/** What other servers tell of their users' keys. Total: what is malformed, or not the origin's to say, is dropped. */
export interface RemoteDeviceLists {
  /** Content of one `m.device_list_update`. */
  receiveDeviceListUpdate(origin: ServerName, content: JsonObject): Promise<void>;
  /** Content of one `m.signing_key_update`. */
  receiveSigningKeyUpdate(origin: ServerName, content: JsonObject): Promise<void>;
}

export interface RemoteDeviceListDeps {
  readonly storage: Pick<Storage, 'deviceLists' | 'commit'>;
  /** Whether the user is in a room with one of ours. Of others we keep nothing. */
  readonly sharesRoom: (userId: UserId) => boolean;
  /** A list is stale and is to be asked for. */
  readonly resync: () => void;
  readonly clock: Clock;
}

const updatesWaitingMax = 1_000;
const prevIdsMax = 100;
/** How long an update that is older than the list says no more than the list. Behind that, the other server counts anew. */
const oldNewsMs = 3_600_000;

export interface DeviceListUpdate {
  readonly userId: UserId;
  readonly deviceId: DeviceId;
  readonly streamId: number;
  readonly prevIds: readonly number[];
  readonly deleted: boolean;
  readonly displayName: string | null;
  readonly keys: JsonObject | null;
}

export function createRemoteDeviceLists(deps: RemoteDeviceListDeps): RemoteDeviceLists {
  const { storage } = deps;
  const serial = new Serial({ waitingMax: updatesWaitingMax });

  async function take(update: DeviceListUpdate): Promise<void> {
    const { userId, streamId } = update;
    const state = await storage.deviceLists.findRemoteState(userId);
    if (state && (await storage.deviceLists.isUpdateKnown(userId, streamId))) return;
    const verdict = judgeUpdate(state, update, deps.clock.now());
    if (verdict === 'old') return;
    const rows = verdict === 'applies' ? [rowOf(update)] : rowsOfGap(state, update, deps.clock.now());
    const told = (await isNews(update, verdict)) ? [changeOf(userId, [update.deviceId], false)] : [];
    await storage.commit({ rows: [...rows, ...told] });
    if (verdict === 'gap') deps.resync();
  }

  /** Clients hear of keys alone: a device that had none and has none is nothing to them. */
  async function isNews({ userId, deviceId, deleted, keys }: DeviceListUpdate, verdict: Verdict): Promise<boolean> {
    if (verdict === 'gap' || keys !== null || deleted) return true;
    if (verdict === 'seen') return false;
    const [list] = await storage.deviceLists.listFreshLists([userId]);
    const before = list?.devices.find((device) => device.deviceId === deviceId);
    return before !== undefined && before.keys !== null;
  }

  async function takeSigningKeys(userId: UserId, keys: SigningKeys): Promise<void> {
    const [list] = await storage.deviceLists.listFreshLists([userId]);
    const rows: Row[] = [];
    if (list) {
      const isKnown = isSame(keys.masterKey, list.masterKey) && isSame(keys.selfSigningKey, list.selfSigningKey);
      // It comes under two names from those who still serve old servers.
      if (isKnown) return;
      rows.push({ kind: 'remote_signing_keys', userId, ...keys });
    }
    await storage.commit({ rows: [...rows, changeOf(userId, [], true)] });
  }

  return {
    async receiveDeviceListUpdate(origin, content) {
      const update = parseDeviceListUpdate(content);
      if (!update || serverOfUser(update.userId) !== origin || !deps.sharesRoom(update.userId)) return;
      await serial.run(update.userId, () => take(update));
    },
    async receiveSigningKeyUpdate(origin, content) {
      const { user_id: userId } = content;
      if (!isUserId(userId) || serverOfUser(userId) !== origin || !deps.sharesRoom(userId)) return;
      const masterKey = parseSigningKey(userId, 'master', content.master_key);
      const selfSigningKey = parseSigningKey(userId, 'self_signing', content.self_signing_key);
      if (!masterKey && !selfSigningKey) return;
      await serial.run(userId, () => takeSigningKeys(userId, { masterKey, selfSigningKey }));
    },
  };
}

export type Verdict = 'applies' | 'gap' | 'old' | 'seen';

interface SigningKeys {
  readonly masterKey: JsonObject | null;
  readonly selfSigningKey: JsonObject | null;
}

/** What an update does not name stays as it was. */
function isSame(given: JsonObject | null, stored: JsonObject | null): boolean {
  return given === null || (stored !== null && canonicalJson(given) === canonicalJson(stored));
}

export function parseDeviceListUpdate(content: JsonObject): DeviceListUpdate | undefined {
  const { user_id: userId, device_id: deviceId, stream_id: streamId } = content;
  const prevIds = content.prev_id ?? [];
  if (!isUserId(userId) || !isDeviceId(deviceId) || !isStreamId(streamId)) return undefined;
  if (!Array.isArray(prevIds) || !prevIds.slice(0, prevIdsMax).every(isStreamId)) return undefined;
  return {
    userId,
    deviceId,
    streamId,
    // One that refers to more than can be followed continues nothing, and the list is asked for.
    prevIds: prevIds.length > prevIdsMax ? [] : prevIds,
    deleted: content.deleted === true,
    displayName: parseDisplayName(content.device_display_name),
    keys: parseRemoteDeviceKeys(userId, deviceId, content.keys),
  };
}

/**
 * What an update is to the list that is stored: it continues it (applies), leaves a gap (`prev_id`: "If the receiving server does not recognise any of
 * the prev_ids, it means an EDU has been lost"), stands in it already (old), or there is no list that it could change (seen). Pure.
 */
export function judgeUpdate(
  state: RemoteDeviceListState | undefined,
  { streamId, prevIds }: Pick<DeviceListUpdate, 'streamId' | 'prevIds'>,
  nowMs: number,
): Verdict {
  if (!state || state.state === 'seen') return 'seen';
  const { streamId: upTo, fetchedAtMs } = state;
  if (state.state === 'stale' || upTo === null) return 'gap';
  if (streamId <= upTo) return fetchedAtMs !== null && nowMs - fetchedAtMs < oldNewsMs ? 'old' : 'gap';
  return prevIds.length > 0 && prevIds.every((prevId) => prevId <= upTo) ? 'applies' : 'gap';
}

function rowOf({ userId, deviceId, streamId, deleted, displayName, keys }: DeviceListUpdate): Row {
  const device = deleted ? null : { deviceId, displayName, keys };
  return { kind: 'remote_device', userId, deviceId, streamId, device };
}

function rowsOfGap(
  state: RemoteDeviceListState | undefined,
  { userId, streamId }: DeviceListUpdate,
  nowMs: number,
): Row[] {
  // A list that could not be had lately keeps its turn.
  const { failures, retryAtMs } = state?.state === 'stale' ? state : { failures: 0, retryAtMs: nowMs };
  return [
    { kind: 'remote_device_list_stale', userId, failures, retryAtMs: retryAtMs ?? nowMs },
    { kind: 'remote_device_list_update', userId, streamId },
  ];
}

/** Clients have to ask for the user's keys anew. */
export function changeOf(userId: UserId, deviceIds: readonly DeviceId[], signingKeys: boolean): Row {
  return { kind: 'device_list_change', userId, viewer: null, told: 'always', deviceIds, signingKeys };
}

import type { DeviceId, UserId } from '../../matrix/ids.ts';
import type { JsonObject } from '../../matrix/pdu.ts';
import type { Position } from './numbers.ts';

export interface DeviceListChangeRow {
  userId: UserId;
  /** The only user who is to hear of it; null: everybody who may. */
  viewer: UserId | null;
  /** if_keys: our users hear of it only if one of the devices has keys or `signingKeys` is true. */
  told: 'always' | 'if_keys';
  deviceIds: readonly DeviceId[];
  /** The keys with which the user signs changed, or their signatures. */
  signingKeys: boolean;
}

export interface RemoteDevice {
  deviceId: DeviceId;
  displayName: string | null;
  /** Null: it does not encrypt. */
  keys: JsonObject | null;
}

/** What another server said of a user. Unverified, but for its shape. */
export interface RemoteDeviceList {
  userId: UserId;
  /** Everything up to this update is in it; null: not known. */
  streamId: number | null;
  masterKey: JsonObject | null;
  selfSigningKey: JsonObject | null;
  devices: readonly RemoteDevice[];
}

export interface RemoteDeviceListState {
  userId: UserId;
  /** seen: only updates came, nobody asked. stale: to be asked for again. fresh: what is stored holds. */
  state: 'seen' | 'stale' | 'fresh';
  streamId: number | null;
  fetchedAtMs: number | null;
  failures: number;
  retryAtMs: number | null;
}

export type DeviceListTableRow =
  /** Takes a position. The removal of a device brings one by itself. */
  | ({ kind: 'device_list_change' } & DeviceListChangeRow)
  | { kind: 'device_list_stream'; userId: UserId; streamId: number; broadcastId: number | null }
  /** What is stored of the user is replaced and is fresh. */
  | ({ kind: 'remote_device_list'; fetchedAtMs: number } & RemoteDeviceList)
  /** An update came that cannot be applied, or a question failed: a list that was fresh is stale. A user of whom nothing is stored is `seen`. */
  | { kind: 'remote_device_list_stale'; userId: UserId; failures: number; retryAtMs: number }
  /** The update is remembered; without effect for a user of whom nothing is stored. */
  | { kind: 'remote_device_list_update'; userId: UserId; streamId: number }
  /** An update that continues a fresh list is applied. Null: the device is gone. */
  | { kind: 'remote_device'; userId: UserId; deviceId: DeviceId; streamId: number; device: RemoteDevice | null }
  /** Of a fresh list. Null: as it was. */
  | {
      kind: 'remote_signing_keys';
      userId: UserId;
      masterKey: JsonObject | null;
      selfSigningKey: JsonObject | null;
    }
  /** Nothing is known of these users any more. */
  | { kind: 'remote_device_lists_removed'; userIds: readonly UserId[] };

export interface DeviceListReads {
  /** Users whose last change of which this viewer may hear lies behind `after`, up to `upTo`; in no order. */
  listChanged(viewer: UserId, after: Position, upTo: Position): Promise<UserId[]>;
  findStream(userId: UserId): Promise<{ streamId: number; broadcastId: number | null } | undefined>;
  findRemoteState(userId: UserId): Promise<RemoteDeviceListState | undefined>;
  /** Those of these users of whom something is stored. */
  listRemoteStates(userIds: readonly UserId[]): Promise<RemoteDeviceListState[]>;
  /** Those of these users whose list is fresh. */
  listFreshLists(userIds: readonly UserId[]): Promise<RemoteDeviceList[]>;
  /** Whether this update came before; the last hundred of a user are remembered. */
  isUpdateKnown(userId: UserId, streamId: number): Promise<boolean>;
  /** Stale lists, those that are to be asked for soonest first. */
  listStale(limit: number): Promise<RemoteDeviceListState[]>;
}

import type { DeviceId, UserId } from '../../matrix/ids.ts';
import type { JsonObject } from '../../matrix/pdu.ts';

/** Where a device wants to be notified. One for each application, key and user. */
export interface PusherRow {
  userId: UserId;
  appId: string;
  pushkey: string;
  /** The device that set it last; with the device it goes. */
  deviceId: DeviceId;
  kind: string;
  appDisplayName: string;
  deviceDisplayName: string;
  profileTag: string | null;
  lang: string;
  data: JsonObject;
  createdAtMs: number;
}

export type PushTableRow =
  | { kind: 'pusher'; pusher: PusherRow }
  | { kind: 'pusher_removed'; userId: UserId; appId: string; pushkey: string }
  /** Of everybody but this user: the key has a new owner. */
  | { kind: 'pushers_of_others_removed'; userId: UserId; appId: string; pushkey: string };

export interface PushReads {
  /** In the order of application and key. */
  listPushers(userId: UserId): Promise<PusherRow[]>;
}

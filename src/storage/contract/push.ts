import type { DeviceId, UserId } from '../../matrix/ids.ts';
import type { JsonObject } from '../../matrix/pdu.ts';
import type { Position } from './numbers.ts';

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

/** How far a pusher has told; kept when the pusher is set anew. */
export interface PusherProgress {
  /** Everything up to here was told or is told no more. A new pusher begins where it was set. */
  toldUpTo: Position;
  /** When the gateway failed after it had been well, Unix milliseconds; null while it is well. */
  failingSinceMs: number | null;
}

/** Names a pusher. */
export type PusherKey = Pick<PusherRow, 'userId' | 'appId' | 'pushkey'>;

export type PushTableRow =
  | { kind: 'pusher'; pusher: PusherRow }
  | { kind: 'pusher_removed'; userId: UserId; appId: string; pushkey: string }
  /** Of everybody but this user: the key has a new owner. */
  | { kind: 'pushers_of_others_removed'; userId: UserId; appId: string; pushkey: string }
  /** Without effect on a pusher that is not there. */
  | ({ kind: 'pusher_progress' } & PusherKey & PusherProgress);

export interface PushReads {
  /** In the order of application and key. */
  listPushers(userId: UserId): Promise<(PusherRow & PusherProgress)[]>;
  /** Those who have any, in the order of their ids behind `after`. */
  listOwners(after: UserId | null, limit: number): Promise<UserId[]>;
}

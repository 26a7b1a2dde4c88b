import type { DeviceId, UserId } from '../../matrix/ids.ts';

export interface UploadedKey {
  algorithm: string;
  keyId: string;
  /** Canonical JSON. */
  key: string;
}

export type OneTimeKeyTableRow =
  /**
   * Added in order. One that is there already with the same id stays as it is, one that was given out with the same content does not come
   * back. Takes a position.
   */
  | { kind: 'one_time_keys'; userId: UserId; deviceId: DeviceId; keys: readonly UploadedKey[] }
  /** Given out: nobody else gets them. Takes a position. */
  | { kind: 'one_time_keys_claimed'; userId: UserId; deviceId: DeviceId; keyNos: readonly number[] }
  /** One an algorithm; it replaces the one before. The same again does not make it unused. Takes a position. */
  | { kind: 'fallback_keys'; userId: UserId; deviceId: DeviceId; keys: readonly UploadedKey[] }
  /** Takes a position. */
  | { kind: 'fallback_key_used'; userId: UserId; deviceId: DeviceId; algorithm: string }
  /** The device's whole stock, fallback keys too. Takes a position. */
  | { kind: 'one_time_keys_removed'; userId: UserId; deviceId: DeviceId };

export interface KeyCounts {
  /** By algorithm; those without any are left out. */
  oneTimeKeys: Readonly<Record<string, number>>;
  unusedFallbackTypes: readonly string[];
}

/** What somebody wants of one device. */
export interface KeyWish {
  userId: UserId;
  deviceId: DeviceId;
  algorithm: string;
}

export interface StoredOneTimeKey extends UploadedKey {
  keyNo: number;
}

export interface StoredFallbackKey extends UploadedKey {
  used: boolean;
}

export interface OneTimeKeyReads {
  countKeys(userId: UserId, deviceId: DeviceId): Promise<KeyCounts>;
  /** Those of these ids (`algorithm:id`) that were uploaded and not given out. */
  listUnclaimed(userId: UserId, deviceId: DeviceId, ids: readonly string[]): Promise<UploadedKey[]>;
  /** For each wish, by its place in the list, the oldest unclaimed keys: `limit` at most. */
  listNext(wishes: readonly KeyWish[], limit: number): Promise<StoredOneTimeKey[][]>;
  /** For each wish, by its place in the list. */
  listFallbacks(wishes: readonly KeyWish[]): Promise<(StoredFallbackKey | undefined)[]>;
}

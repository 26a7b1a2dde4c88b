import type { RoomId, UserId } from '../../matrix/ids.ts';
import type { JsonObject } from '../../matrix/pdu.ts';

export interface KeyBackupRow {
  readonly userId: UserId;
  /** 1, 2, … */
  readonly version: number;
  readonly algorithm: string;
  readonly authData: JsonObject;
}

export interface StoredKeyBackup extends KeyBackupRow {
  /** Another one with each change of the keys. */
  readonly etag: number;
  /** Keys in it. */
  readonly count: number;
}

export interface RoomKeyName {
  readonly roomId: RoomId;
  readonly sessionId: string;
}

export interface RoomKey extends RoomKeyName {
  readonly firstMessageIndex: number;
  readonly forwardedCount: number;
  readonly isVerified: boolean;
  /** JSON text. */
  readonly sessionData: string;
}

export type KeyBackupTableRow =
  /** A new version, or other `authData` for one that there is. */
  | ({ kind: 'key_backup' } & KeyBackupRow)
  /** The version goes with its keys; its number is never given again. */
  | { kind: 'key_backup_removed'; userId: UserId; version: number }
  /** Puts keys into a version, in place of those of the same names. */
  | { kind: 'room_keys'; userId: UserId; version: number; keys: readonly RoomKey[] }
  /** Not too many at once: they are deleted in one turn. */
  | { kind: 'room_keys_removed'; userId: UserId; version: number; keys: readonly RoomKeyName[] };

export interface KeyPage {
  readonly roomId: RoomId | null;
  readonly after: RoomKeyName | null;
  readonly limit: number;
}

export interface KeyBackupReads {
  /** The highest version that was ever given; 0: none. */
  getLastVersion(userId: UserId): Promise<number>;
  /** The newest version that is there. */
  findNewest(userId: UserId): Promise<StoredKeyBackup | undefined>;
  find(userId: UserId, version: number): Promise<StoredKeyBackup | undefined>;
  /** Those of these names that there are. */
  listNamedKeys(userId: UserId, version: number, names: readonly RoomKeyName[]): Promise<RoomKey[]>;
  /** In order of rooms and sessions behind `after`, of one room if given. */
  listKeys(userId: UserId, version: number, page: KeyPage): Promise<RoomKey[]>;
  listKeyNames(userId: UserId, version: number, page: KeyPage): Promise<RoomKeyName[]>;
}

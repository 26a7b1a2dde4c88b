import type { DeviceId, UserId } from '../../matrix/ids.ts';
import type { JsonObject } from '../../matrix/pdu.ts';
import type { Position } from './numbers.ts';

export interface AccountRow {
  userId: UserId;
  /** Undefined password: the account cannot log in by password. */
  passwordHash: string | null;
  createdAtMs: number;
  deactivatedAtMs: number | null;
}

export interface DeviceRow {
  userId: UserId;
  deviceId: DeviceId;
  displayName: string | null;
  createdAtMs: number;
  lastSeenAtMs: number | null;
  lastSeenIp: string | null;
}

export interface AccessTokenRow {
  /** SHA-256 of the token, hex. The token itself is never stored. */
  tokenHash: string;
  userId: UserId;
  deviceId: DeviceId;
  /** Which refresh of the device's tokens gave it; 0 for a token that cannot be refreshed. */
  generation: number;
  createdAtMs: number;
  /** Null: never. */
  expiresAtMs: number | null;
}

/** Stored like an access token, by its hash. */
export type RefreshTokenRow = AccessTokenRow;

/** Whether the device still has tokens of an older generation: the first use of this one ends them. */
export interface Succession {
  supersedesOlder: boolean;
}

export interface ProfileRow {
  userId: UserId;
  displayname: string | null;
  avatarUrl: string | null;
}

export interface FilterRow {
  userId: UserId;
  filterId: string;
  definition: JsonObject;
}

export type AccountTableRow =
  | ({ kind: 'account' } & AccountRow)
  /**
   * Removes account data, filters and the fields of the profile beyond name and picture. Takes a position: who comes to a room behind it is to see the user's events redacted.
   */
  | { kind: 'account_erased'; userId: UserId }
  /** The account becomes one of an administrator. */
  | { kind: 'account_admin'; userId: UserId }
  | ({ kind: 'device' } & DeviceRow)
  /** Also removes the device's tokens, pushers and client transactions. */
  | { kind: 'device_removed'; userId: UserId; deviceId: DeviceId }
  | ({ kind: 'access_token' } & AccessTokenRow)
  | ({ kind: 'refresh_token' } & RefreshTokenRow)
  /** All tokens of the device, those for refreshing too; of all the user's devices when null. */
  | { kind: 'access_tokens_removed'; userId: UserId; deviceId: DeviceId | null }
  /** All tokens of the device but those of this generation. */
  | { kind: 'tokens_superseded'; userId: UserId; deviceId: DeviceId; generation: number }
  | ({ kind: 'profile' } & ProfileRow)
  /** A field of the profile beyond name and picture: any JSON. */
  | { kind: 'profile_field'; userId: UserId; field: string; value: unknown }
  | { kind: 'profile_field_removed'; userId: UserId; field: string }
  | ({ kind: 'filter' } & FilterRow);

export interface AccountReads {
  findAccount(userId: UserId): Promise<AccountRow | undefined>;
  /** Whether this is the account of an administrator, and not deactivated. */
  isAdmin(userId: UserId): Promise<boolean>;
  findAccessToken(tokenHash: string): Promise<(AccessTokenRow & Succession) | undefined>;
  findRefreshToken(tokenHash: string): Promise<RefreshTokenRow | undefined>;
  findDevice(userId: UserId, deviceId: DeviceId): Promise<DeviceRow | undefined>;
  listDevices(userId: UserId): Promise<DeviceRow[]>;
  findProfile(userId: UserId): Promise<ProfileRow | undefined>;
  /** The fields beyond name and picture. */
  listProfileFields(userId: UserId): Promise<JsonObject>;
  findFilter(userId: UserId, filterId: string): Promise<FilterRow | undefined>;
  /** Accounts that were not deactivated, in order of user id. */
  listAccounts(after: UserId | null, limit: number): Promise<AccountRow[]>;
  /** Users whose account was deactivated and who are still in a room, invited or knocking, in order of user id. */
  listDeparting(after: UserId | null, limit: number): Promise<UserId[]>;
  /**
   * When this local user was erased; undefined: never. Answers from memory, since it is asked for every event that is read: whoever
   * was not in a room by then is to see the user's events redacted.
   */
  erasedAt(userId: UserId): Position | undefined;
}

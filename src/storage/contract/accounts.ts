import type { DeviceId, UserId } from '../../matrix/ids.ts';
import type { JsonObject } from '../../matrix/pdu.ts';

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
  createdAtMs: number;
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
  | ({ kind: 'device' } & DeviceRow)
  /** Also removes the device's access tokens and client transactions. */
  | { kind: 'device_removed'; userId: UserId; deviceId: DeviceId }
  | ({ kind: 'access_token' } & AccessTokenRow)
  /** All tokens of the device; of all the user's devices when null. */
  | { kind: 'access_tokens_removed'; userId: UserId; deviceId: DeviceId | null }
  | ({ kind: 'profile' } & ProfileRow)
  | ({ kind: 'filter' } & FilterRow);

export interface AccountReads {
  findAccount(userId: UserId): Promise<AccountRow | undefined>;
  findAccessToken(tokenHash: string): Promise<AccessTokenRow | undefined>;
  findDevice(userId: UserId, deviceId: DeviceId): Promise<DeviceRow | undefined>;
  listDevices(userId: UserId): Promise<DeviceRow[]>;
  findProfile(userId: UserId): Promise<ProfileRow | undefined>;
  findFilter(userId: UserId, filterId: string): Promise<FilterRow | undefined>;
  /** For presence and the command line: accounts that were not deactivated, in order of user id. */
  listAccounts(after: UserId | null, limit: number): Promise<AccountRow[]>;
}

import type { DeviceId, UserId } from '../../matrix/ids.ts';
import type { JsonObject } from '../../matrix/pdu.ts';

export type DeviceKeyTableRow =
  /** Replaces what the device said of itself before. */
  { kind: 'device_keys'; userId: UserId; deviceId: DeviceId; keys: JsonObject };

export interface DeviceWithKeys {
  userId: UserId;
  deviceId: DeviceId;
  displayName: string | null;
  /** As they were uploaded; null: it never uploaded any. */
  keys: JsonObject | null;
}

export interface DeviceKeyReads {
  findDeviceKeys(userId: UserId, deviceId: DeviceId): Promise<JsonObject | undefined>;
  /** All devices of these local users, in order of user and device. */
  listDevicesWithKeys(userIds: readonly UserId[]): Promise<DeviceWithKeys[]>;
}

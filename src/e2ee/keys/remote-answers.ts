import { isObject } from '../../engine/members.ts';
import type { DeviceId, UserId } from '../../matrix/ids.ts';
import type { JsonObject } from '../../matrix/pdu.ts';
import type { CrossSigningUsage } from '../../storage/contract/cross-signing.ts';
import type { RemoteDevice, RemoteDeviceList } from '../../storage/contract/device-lists.ts';
import type { KeyWish } from '../../storage/contract/one-time-keys.ts';
import { isCrossSigningKey, isDeviceKeys, isKeyOf, isOneTimeKey, type OneTimeKey } from './key-shapes.ts';

/** What other servers answer, read without trust: whatever is not of the user who was asked for, or malformed, is left out. */

/** Of one user; what goes beyond is left out. */
const devicesMax = 1_000;
const displayNameMax = 256;

export function isDeviceId(value: unknown): value is DeviceId {
  return typeof value === 'string' && value.length > 0 && value.length <= 255;
}

export function isStreamId(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

/** The keys that a device says are its own. */
export function parseRemoteDeviceKeys(userId: UserId, deviceId: DeviceId, value: unknown): JsonObject | null {
  if (!isDeviceKeys(value) || value.user_id !== userId || value.device_id !== deviceId) return null;
  return Object.fromEntries(Object.entries(value).filter(([name]) => name !== 'unsigned'));
}

export function parseDisplayName(value: unknown): string | null {
  return typeof value === 'string' ? value.slice(0, displayNameMax) : null;
}

export function parseSigningKey(userId: UserId, usage: CrossSigningUsage, value: unknown): JsonObject | null {
  return isCrossSigningKey(value) && isKeyOf(value, userId, usage) ? value : null;
}

/** The answer of `POST /user/keys/query`, as far as it concerns one user. Undefined: it says nothing of them. */
export function parseQueriedUser(answer: JsonObject, userId: UserId): RemoteDeviceList | undefined {
  const devices = memberOf(answer.device_keys, userId);
  const masterKey = parseSigningKey(userId, 'master', memberOf(answer.master_keys, userId));
  const selfSigningKey = parseSigningKey(userId, 'self_signing', memberOf(answer.self_signing_keys, userId));
  if (!isObject(devices) && !masterKey && !selfSigningKey) return undefined;
  return {
    userId,
    streamId: null,
    masterKey,
    selfSigningKey,
    devices: Object.entries(isObject(devices) ? devices : {})
      .slice(0, devicesMax)
      .flatMap(([deviceId, value]) => parseQueriedDevice(userId, deviceId, value) ?? []),
  };
}

function parseQueriedDevice(userId: UserId, deviceId: string, value: unknown): RemoteDevice | undefined {
  if (!isDeviceId(deviceId)) return undefined;
  const keys = parseRemoteDeviceKeys(userId, deviceId, value);
  if (keys === null) return undefined;
  const unsigned = isObject(value) ? memberOf(value.unsigned, 'device_display_name') : undefined;
  return { deviceId, displayName: parseDisplayName(unsigned), keys };
}

/** The answer of `GET /user/devices/{userId}`. Undefined when it is none. */
export function parseUserDevices(answer: JsonObject, userId: UserId): RemoteDeviceList | undefined {
  const { user_id: named, stream_id: streamId, devices } = answer;
  if (named !== userId || !isStreamId(streamId) || !Array.isArray(devices)) return undefined;
  return {
    userId,
    streamId,
    masterKey: parseSigningKey(userId, 'master', answer.master_key),
    selfSigningKey: parseSigningKey(userId, 'self_signing', answer.self_signing_key),
    devices: devices.slice(0, devicesMax).flatMap((device: unknown): RemoteDevice[] => {
      if (!isObject(device) || !isDeviceId(device.device_id)) return [];
      const { device_id: deviceId } = device;
      const displayName = parseDisplayName(device.device_display_name);
      return [{ deviceId, displayName, keys: parseRemoteDeviceKeys(userId, deviceId, device.keys) }];
    }),
  };
}

/** The key of the answer of `POST /user/keys/claim` for one wish. */
export function parseClaimedKey(answer: JsonObject, wish: KeyWish): { id: string; key: OneTimeKey } | undefined {
  const keys = memberOf(memberOf(answer.one_time_keys, wish.userId), wish.deviceId);
  if (!isObject(keys)) return undefined;
  for (const [id, key] of Object.entries(keys))
    if (id.startsWith(`${wish.algorithm}:`) && isOneTimeKey(key)) return { id, key };
  return undefined;
}

function memberOf(object: unknown, name: string): unknown {
  return isObject(object) && Object.hasOwn(object, name) ? object[name] : undefined;
}

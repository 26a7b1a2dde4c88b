import { CanonicalJsonError, canonicalJson } from '../base/json/canonical-json.ts';
import { isObject } from '../engine/members.ts';
import { badJson, tooLarge } from '../matrix/errors.ts';
import { type DeviceId, isUserId, serverOfUser, type UserId } from '../matrix/ids.ts';
import type { JsonObject } from '../matrix/pdu.ts';
import type { ServerName } from '../matrix/server-name.ts';
import type { ToDeviceMessage } from '../storage/contract/to-device.ts';

/** A longer message is refused, so that a transaction of a hundred fits what servers take. */
export const messageBytesMax = 64 * 1024;
/** An EDU is closed before it gets longer, unless a single message does. */
const eduBytesMax = 60 * 1024;
const deviceIdLengthMax = 255;
/** "`*` indicates that the message should be sent to all devices of the user." */
const allDevices = '*';

/** One message for one device, or for all of a user's. */
export interface Addressed {
  readonly userId: UserId;
  /** Null: all of them. */
  readonly deviceId: DeviceId | null;
  readonly content: JsonObject;
}

/**
 * What `messages` holds: user → device → content, at most `max` of them. What is none is left out, and told as the second.
 */
export function parseMessages(messages: unknown, max: number): { addressed: Addressed[]; refused: string | null } {
  const addressed: Addressed[] = [];
  if (!isObject(messages)) return { addressed, refused: 'messages is not an object' };
  let refused: string | null = null;
  for (const [userId, devices] of Object.entries(messages)) {
    if (!isUserId(userId)) refused = 'messages names what is no user id';
    else if (!isObject(devices)) refused = 'messages holds no devices for a user';
    else {
      for (const [deviceId, content] of Object.entries(devices)) {
        const isDevice = deviceId !== '' && deviceId.length <= deviceIdLengthMax;
        if (!isDevice || !isObject(content)) refused = 'messages holds no message for a device';
        else if (addressed.length >= max) return { addressed, refused: `messages is for more than ${max} devices` };
        else addressed.push({ userId, deviceId: deviceId === allDevices ? null : (deviceId as DeviceId), content });
      }
    }
  }
  return { addressed, refused };
}

export function toDeviceEvent(sender: UserId, type: string, { userId, deviceId, content }: Addressed): ToDeviceMessage {
  return { userId, deviceId, text: JSON.stringify({ type, sender, content }) };
}

export interface RemoteMessages {
  readonly destination: ServerName;
  readonly messages: JsonObject;
}

/**
 * What other servers are sent, in pieces that fit an EDU. Throws M_BAD_JSON for what has no canonical form: it could not be signed, and
 * would never arrive.
 */
export function remoteMessages(addressed: readonly Addressed[]): RemoteMessages[] {
  const pieces: RemoteMessages[] = [];
  const open = new Map<ServerName, { entries: Addressed[]; bytes: number }>();
  const close = (destination: ServerName, entries: readonly Addressed[]): void => {
    pieces.push({ destination, messages: nest(entries) });
  };
  for (const one of addressed) {
    const destination = serverOfUser(one.userId);
    const bytes = canonicalBytes(one.content);
    let piece = open.get(destination);
    if (piece && piece.bytes + bytes > eduBytesMax) {
      close(destination, piece.entries);
      piece = undefined;
    }
    if (!piece) open.set(destination, { entries: [one], bytes });
    else {
      piece.entries.push(one);
      piece.bytes += bytes;
    }
  }
  for (const [destination, { entries }] of open) close(destination, entries);
  return pieces;
}

/** Throws M_TOO_LARGE for a message that is longer than any may be. */
export function checkSize({ text }: ToDeviceMessage): void {
  if (Buffer.byteLength(text) > messageBytesMax)
    throw tooLarge(`A message to a device has at most ${messageBytesMax} bytes`);
}

function canonicalBytes(content: JsonObject): number {
  try {
    return Buffer.byteLength(canonicalJson(content));
  } catch (error) {
    if (!(error instanceof CanonicalJsonError)) throw error;
    throw badJson(`A message for a user of another server cannot be sent: ${error.message}`);
  }
}

function nest(entries: readonly Addressed[]): JsonObject {
  const users = new Map<UserId, [string, JsonObject][]>();
  for (const { userId, deviceId, content } of entries) {
    const devices = users.get(userId) ?? [];
    devices.push([deviceId ?? allDevices, content]);
    users.set(userId, devices);
  }
  return Object.fromEntries([...users].map(([userId, devices]) => [userId, Object.fromEntries(devices)]));
}

import { z } from 'zod';
import { LooseNumber } from '../base/json/loose-number.ts';
import {
  type DeviceId,
  type EventId,
  isEventId,
  isRoomAlias,
  isRoomId,
  isUserId,
  type RoomAlias,
  type RoomId,
  type UserId,
} from '../matrix/ids.ts';
import type { JsonObject } from '../matrix/pdu.ts';
import { isServerName, type ServerName } from '../matrix/server-name.ts';

/** Shapes that several routes share. The messages complete "'field': …". */

export const userId = z.custom<UserId>(isUserId, 'is not a user id');
export const roomId = z.custom<RoomId>(isRoomId, 'is not a room id');
export const eventId = z.custom<EventId>(isEventId, 'is not an event id');
export const roomAlias = z.custom<RoomAlias>(isRoomAlias, 'is not a room alias');
export const serverName = z.custom<ServerName>(isServerName, 'is not a server name');

export const deviceId = z.custom<DeviceId>(
  (value) => typeof value === 'string' && value.length > 0 && value.length <= 255,
  'is not a device id of 1 to 255 characters',
);

/** What a user calls a device. */
export const deviceName = z.string().max(256, 'is longer than 256 characters');

/** A JSON object taken as it is, by reference: copying would lose `__proto__` and cost time. */
export const jsonObject = z.custom<JsonObject>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof LooseNumber),
  'is not an object',
);

/** Event types, state keys and the like: text that fits an event. */
export const shortText = z.string().max(255, 'is longer than 255 characters');

/** A field that may be left out; `null` counts as left out, because clients write it so. */
export function optional<T>(shape: z.ZodType<T>) {
  return shape.nullish().transform((value) => value ?? undefined);
}

/** A whole number that canonical JSON can write. */
export const integer = z.int();

/** A whole number in a query, such as `limit` or `timeout`. */
export function queryInteger(min: number, max: number) {
  return z
    .string()
    .regex(/^-?\d{1,16}$/, 'is not a whole number')
    .transform(Number)
    .pipe(z.int().min(min).max(max));
}

/** `true` or `false` in a query. */
export const queryBoolean = z.enum(['true', 'false']).transform((value) => value === 'true');

/** A query parameter that may be given once or several times, as a list. */
export function queryList<T>(item: z.ZodType<T>, itemsMax: number) {
  return z.preprocess(
    (value) => (value === undefined || Array.isArray(value) ? value : [value]),
    z.array(item).max(itemsMax),
  );
}

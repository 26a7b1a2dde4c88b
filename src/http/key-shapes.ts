import { z } from 'zod';
import type { DeviceId, UserId } from '../matrix/ids.ts';
import { deviceId, shortText, userId } from './shapes.ts';

/** Shapes that the client-server and the server-server API share in "End-to-End Encryption". */

/** More in one request are refused. Clients ask for a few hundred at once. */
const usersMax = 5_000;
const devicesMax = 1_000;
const wishesMax = 10_000;

/** User → devices; none: all of them. */
export const queriedUsers = z
  // Counted before each is looked at, which would take long for a body full of names.
  .custom<object>(
    (users) => !isObject(users) || Object.keys(users).length <= usersMax,
    `names more than ${usersMax} users`,
  )
  .pipe(z.record(userId, z.array(deviceId).max(devicesMax)))
  .transform((users): ReadonlyMap<UserId, readonly DeviceId[]> => new Map(entriesOf(users)));

/** User → device → algorithm. */
export const wishedKeys = z
  .record(userId, z.record(deviceId, shortText))
  .transform((users) =>
    entriesOf(users).flatMap(([user, devices]) =>
      entriesOf(devices).map(([device, algorithm]) => ({ userId: user, deviceId: device, algorithm })),
    ),
  )
  .refine((wishes) => wishes.length <= wishesMax, `names more than ${wishesMax} devices`);

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

/** The shape of the record has checked its keys. */
function entriesOf<Key extends string, Value>(record: Partial<Record<Key, Value>>): [Key, Value][] {
  return Object.entries(record) as [Key, Value][];
}

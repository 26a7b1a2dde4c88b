import { z } from 'zod';
import { type DeviceId, isUserId, type UserId } from '../matrix/ids.ts';
import { deviceId, shortText, userId } from './shapes.ts';

/** Shapes that the client-server and the server-server API share in "End-to-End Encryption". */

/** More in one request are refused. Clients ask for a few hundred at once. */
const usersMax = 5_000;
const devicesMax = 1_000;
const wishesMax = 10_000;

const queriedDevices = z.array(deviceId).max(devicesMax);
const allDevices: readonly DeviceId[] = [];

/** User → devices; none: all of them. There may be thousands, so what nearly all of them are, an id with an empty list, is looked at without a shape. */
export const queriedUsers = z
  .custom<object>((users) => isObject(users) && !Array.isArray(users), 'is not an object')
  // Counted before each is looked at, which would take long for a body full of names.
  .refine((users) => Object.keys(users).length <= usersMax, {
    message: `names more than ${usersMax} users`,
    abort: true,
  })
  .transform((users, context): ReadonlyMap<UserId, readonly DeviceId[]> => {
    const queried = new Map<UserId, readonly DeviceId[]>();
    for (const [user, asked] of Object.entries(users)) {
      const isAll = Array.isArray(asked) && asked.length === 0;
      const devices = isAll ? allDevices : queriedDevices.safeParse(asked).data;
      if (isUserId(user) && devices) queried.set(user, devices);
      else context.addIssue({ code: 'custom', message: 'names what is no user, or no list of devices' });
    }
    return queried;
  });

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

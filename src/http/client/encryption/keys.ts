import { z } from 'zod';
import { encodeByMembers } from '../../../base/json/long-text.ts';
import {
  type DeviceKeys,
  isDeviceKeys,
  isKeyName,
  isOneTimeKey,
  type OneTimeKey,
} from '../../../e2ee/keys/key-shapes.ts';
import type { Keys } from '../../../e2ee/keys.ts';
import type { KeyChanges } from '../../../sync/key-changes.ts';
import { queriedUsers, wishedKeys } from '../../key-shapes.ts';
import { clientPath, type Route, userRoute, withAnyDevice, withDevice } from '../../route.ts';
import { integer, optional } from '../../shapes.ts';

export interface KeyRoutesDeps {
  readonly keys: Pick<Keys, 'uploads' | 'queries' | 'claims'>;
  readonly keyChanges: KeyChanges;
}

const deviceKeys = z.custom<DeviceKeys>(isDeviceKeys, 'is not a DeviceKeys object');
const namedKeys = z.record(
  z.string().refine(isKeyName, 'is not <algorithm>:<key id>'),
  z.custom<OneTimeKey>(isOneTimeKey, 'is not a key'),
);

/** Client-server API, "End-to-End Encryption", "Key management API". */
export function keyRoutes({ keys, keyChanges }: KeyRoutesDeps): Route[] {
  return [
    userRoute({
      method: 'POST',
      path: clientPath('/keys/upload'),
      body: z.object({
        device_keys: optional(deviceKeys),
        one_time_keys: optional(namedKeys),
        fallback_keys: optional(namedKeys),
      }),
      handle: async ({ requester, body }) => ({
        one_time_key_counts: await keys.uploads.upload(withDevice(requester), {
          deviceKeys: body.device_keys,
          oneTimeKeys: body.one_time_keys,
          fallbackKeys: body.fallback_keys,
        }),
      }),
    }),
    userRoute({
      method: 'POST',
      path: clientPath('/keys/query'),
      body: z.object({ device_keys: queriedUsers, timeout: optional(integer) }),
      handle: async ({ requester, body }) => {
        const query = { viewer: requester.userId, users: body.device_keys, timeoutMs: body.timeout };
        return encodeByMembers(await keys.queries.query(query));
      },
    }),
    userRoute({
      method: 'POST',
      path: clientPath('/keys/claim'),
      body: z.object({ one_time_keys: wishedKeys, timeout: optional(integer) }),
      handle: ({ body }) => keys.claims.claim(body.one_time_keys, body.timeout),
    }),
    userRoute({
      method: 'GET',
      path: clientPath('/keys/changes'),
      query: z.object({ from: z.string(), to: z.string() }),
      handle: ({ requester, query }) => keyChanges(withAnyDevice(requester), query),
    }),
  ];
}

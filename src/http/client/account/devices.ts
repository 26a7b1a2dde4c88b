import { z } from 'zod';
import type { Accounts } from '../../../accounts/accounts.ts';
import type { DeviceId } from '../../../matrix/ids.ts';
import type { JsonObject } from '../../../matrix/pdu.ts';
import { clientPath, Reply, type Requester, type Route, userRoute } from '../../route.ts';
import { deviceId, deviceName, jsonObject, optional } from '../../shapes.ts';

export interface DeviceRoutesDeps {
  readonly accounts: Pick<Accounts, 'devices' | 'interactiveAuth'>;
}

/** More in one request are refused. */
const deletedMax = 1_000;

/** Client-server API, "Device management". */
export function deviceRoutes({ accounts }: DeviceRoutesDeps): Route[] {
  const { devices, interactiveAuth } = accounts;
  const params = z.object({ deviceId });

  async function remove(
    { userId, service }: Requester,
    deviceIds: readonly DeviceId[],
    auth: JsonObject | undefined,
  ): Promise<JsonObject> {
    // "MUST NOT require User-Interactive Authentication when used by an application service" ("Device management").
    if (service === undefined) {
      await interactiveAuth.authorize({
        purpose: `delete devices of ${userId}: ${JSON.stringify([...deviceIds].sort())}`,
        stage: 'm.login.password',
        userId,
        auth,
      });
    }
    await devices.remove(userId, deviceIds);
    return {};
  }

  return [
    userRoute({
      method: 'GET',
      path: clientPath('/devices'),
      handle: async ({ requester }) => ({ devices: (await devices.list(requester.userId)).map(present) }),
    }),
    userRoute({
      method: 'GET',
      path: clientPath('/devices/:deviceId'),
      params,
      handle: async ({ requester, params }) => present(await devices.get(requester.userId, params.deviceId)),
    }),
    userRoute({
      method: 'PUT',
      path: clientPath('/devices/:deviceId'),
      params,
      body: z.object({ display_name: optional(deviceName) }),
      handle: async ({ requester, params, body }) => {
        const { userId, service } = requester;
        if (service !== undefined) {
          const outcome = await devices.put(userId, params.deviceId, body.display_name);
          return outcome === 'made' ? new Reply(201, {}) : {};
        }
        if (body.display_name === undefined) await devices.get(userId, params.deviceId);
        else await devices.rename(userId, params.deviceId, body.display_name);
        return {};
      },
    }),
    userRoute({
      method: 'DELETE',
      path: clientPath('/devices/:deviceId'),
      params,
      body: z.object({ auth: optional(jsonObject) }),
      handle: ({ requester, params, body }) => remove(requester, [params.deviceId], body.auth),
    }),
    userRoute({
      method: 'POST',
      path: clientPath('/delete_devices'),
      body: z.object({ devices: z.array(deviceId).max(deletedMax), auth: optional(jsonObject) }),
      handle: ({ requester, body }) => remove(requester, body.devices, body.auth),
    }),
  ];
}

type Device = Awaited<ReturnType<Accounts['devices']['get']>>;

function present(device: Device): JsonObject {
  return {
    device_id: device.deviceId,
    ...(device.displayName === null ? {} : { display_name: device.displayName }),
    ...(device.lastSeenIp === null ? {} : { last_seen_ip: device.lastSeenIp }),
    ...(device.lastSeenAtMs === null ? {} : { last_seen_ts: device.lastSeenAtMs }),
  };
}

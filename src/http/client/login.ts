import { z } from 'zod';
import type { Accounts } from '../../accounts/accounts.ts';
import { parseIdentifier } from '../../accounts/identifier.ts';
import { missingParam, unknown } from '../../matrix/errors.ts';
import { serverOfUser } from '../../matrix/ids.ts';
import { clientPath, openRoute, type Route, userRoute } from '../route.ts';
import { deviceId, deviceName, optional } from '../shapes.ts';
import { presentGrant } from './refresh.ts';
import { wellKnownOf } from './well-known.ts';

export interface LoginRoutesDeps {
  readonly accounts: Pick<Accounts, 'login' | 'devices'>;
  /** Repeated to the client at login; null: not configured. */
  readonly baseUrl: string | null;
}

/** Client-server API, "Login" and "Logout". */
export function loginRoutes({ accounts, baseUrl }: LoginRoutesDeps): Route[] {
  return [
    openRoute({
      method: 'GET',
      path: clientPath('/login'),
      handle: async () => ({ flows: [{ type: 'm.login.password' }] }),
    }),
    openRoute({
      method: 'POST',
      path: clientPath('/login'),
      body: z.object({
        type: z.string(),
        identifier: z.unknown().optional(),
        user: z.unknown().optional(),
        password: optional(z.string()),
        device_id: optional(deviceId),
        initial_device_display_name: optional(deviceName),
        refresh_token: optional(z.boolean()),
      }),
      handle: async ({ body }) => {
        if (body.type !== 'm.login.password') throw unknown('Only m.login.password is offered');
        const user = parseIdentifier(body);
        if (user === undefined) throw missingParam("'identifier' is required");
        if (body.password === undefined) throw missingParam("'password' is required");
        const signedIn = await accounts.login.byPassword({
          user,
          password: body.password,
          device: {
            deviceId: body.device_id,
            displayName: body.initial_device_display_name,
            refreshable: body.refresh_token,
          },
        });
        return {
          user_id: signedIn.userId,
          ...presentGrant(signedIn.grant),
          device_id: signedIn.deviceId,
          home_server: serverOfUser(signedIn.userId),
          ...(baseUrl === null ? {} : { well_known: wellKnownOf(baseUrl) }),
        };
      },
    }),
    userRoute({
      method: 'POST',
      path: clientPath('/logout'),
      handle: async ({ requester }) => {
        await accounts.devices.remove(requester.userId, [requester.deviceId]);
        return {};
      },
    }),
    userRoute({
      method: 'POST',
      path: clientPath('/logout/all'),
      handle: async ({ requester }) => {
        await accounts.devices.removeAll(requester.userId, null);
        return {};
      },
    }),
  ];
}

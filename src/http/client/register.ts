import { z } from 'zod';
import type { Accounts } from '../../accounts/accounts.ts';
import { guestAccessForbidden } from '../../matrix/errors.ts';
import { serverOfUser } from '../../matrix/ids.ts';
import { clientPath, openRoute, type Route } from '../route.ts';
import { deviceId, deviceName, jsonObject, optional } from '../shapes.ts';
import { presentGrant } from './refresh.ts';

/** Client-server API, "Account registration". */
export function registerRoutes({ accounts }: { accounts: Pick<Accounts, 'registration'> }): Route[] {
  return [
    openRoute({
      method: 'POST',
      path: clientPath('/register'),
      counts: 'registrations',
      query: z.object({ kind: z.enum(['user', 'guest']).default('user') }),
      body: z.object({
        username: optional(z.string()),
        password: optional(z.string()),
        device_id: optional(deviceId),
        initial_device_display_name: optional(deviceName),
        inhibit_login: optional(z.boolean()),
        refresh_token: optional(z.boolean()),
        auth: optional(jsonObject),
      }),
      handle: async ({ query, body }) => {
        if (query.kind === 'guest') throw guestAccessForbidden('This server has no guest accounts');
        const { userId, signedIn } = await accounts.registration.register({
          username: body.username,
          password: body.password,
          device: {
            deviceId: body.device_id,
            displayName: body.initial_device_display_name,
            refreshable: body.refresh_token,
          },
          inhibitLogin: body.inhibit_login ?? false,
          auth: body.auth,
        });
        return {
          user_id: userId,
          home_server: serverOfUser(userId),
          ...(signedIn ? { ...presentGrant(signedIn.grant), device_id: signedIn.deviceId } : {}),
        };
      },
    }),
    openRoute({
      method: 'GET',
      path: clientPath('/register/available'),
      counts: 'registrations',
      query: z.object({ username: z.string() }),
      handle: async ({ query }) => {
        await accounts.registration.checkAvailable(query.username);
        return { available: true };
      },
    }),
  ];
}

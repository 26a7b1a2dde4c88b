import { z } from 'zod';
import type { Accounts } from '../../../accounts/accounts.ts';
import { missingParam } from '../../../matrix/errors.ts';
import type { Deactivation } from '../../../operations/deactivate.ts';
import { clientPath, type Route, userRoute } from '../../route.ts';
import { jsonObject, optional } from '../../shapes.ts';

export interface AccountRoutesDeps {
  readonly accounts: Pick<Accounts, 'credentials' | 'interactiveAuth'>;
  readonly deactivation: Pick<Deactivation, 'deactivate'>;
}

/** Client-server API, "Account management" and "Current account information". */
export function accountRoutes({ accounts, deactivation }: AccountRoutesDeps): Route[] {
  const { credentials, interactiveAuth } = accounts;
  return [
    userRoute({
      method: 'GET',
      path: clientPath('/account/whoami'),
      handle: async ({ requester }) => ({
        user_id: requester.userId,
        ...(requester.deviceId === null ? {} : { device_id: requester.deviceId }),
        is_guest: false,
      }),
    }),
    userRoute({
      method: 'POST',
      path: clientPath('/account/password'),
      body: z.object({
        // Asked for only after the authentication: clients find out the flows with a body that holds nothing.
        new_password: optional(z.string()),
        logout_devices: optional(z.boolean()),
        auth: optional(jsonObject),
      }),
      handle: async ({ requester, body }) => {
        const { userId, deviceId } = requester;
        await interactiveAuth.authorize({
          purpose: `change password of ${userId}`,
          stage: 'm.login.password',
          userId,
          auth: body.auth,
        });
        if (body.new_password === undefined) throw missingParam("'new_password' is required");
        await credentials.changePassword({
          userId,
          keep: deviceId,
          newPassword: body.new_password,
          logoutDevices: body.logout_devices ?? true,
        });
        return {};
      },
    }),
    userRoute({
      method: 'POST',
      path: clientPath('/account/deactivate'),
      body: z.object({ auth: optional(jsonObject), erase: optional(z.boolean()), id_server: optional(z.string()) }),
      handle: async ({ requester, body }) => {
        const { userId } = requester;
        await interactiveAuth.authorize({
          purpose: `deactivate ${userId}`,
          stage: 'm.login.password',
          userId,
          auth: body.auth,
        });
        await deactivation.deactivate(userId, { erase: body.erase ?? false });
        // There are no third-party identifiers here that an identity server could know.
        return { id_server_unbind_result: 'success' };
      },
    }),
  ];
}

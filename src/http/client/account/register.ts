import { z } from 'zod';
import type { Accounts } from '../../../accounts/accounts.ts';
import type { Acting } from '../../../appservices/acting.ts';
import { guestAccessForbidden, missingParam } from '../../../matrix/errors.ts';
import { serverOfUser, type UserId } from '../../../matrix/ids.ts';
import { type Caller, clientPath, openRoute, type Route } from '../../route.ts';
import { deviceId, deviceName, jsonObject, optional } from '../../shapes.ts';
import { presentGrant } from './refresh.ts';

export interface RegisterRoutesDeps {
  readonly accounts: Pick<Accounts, 'registration'>;
  readonly services: Pick<Acting, 'checkMayMake'>;
}

const registerBody = z.object({
  type: optional(z.string()),
  username: optional(z.string()),
  password: optional(z.string()),
  device_id: optional(deviceId),
  initial_device_display_name: optional(deviceName),
  inhibit_login: optional(z.boolean()),
  refresh_token: optional(z.boolean()),
  auth: optional(jsonObject),
});

/** Client-server API, "Account registration", and application service API, "Server admin style permissions". */
export function registerRoutes({ accounts, services }: RegisterRoutesDeps): Route[] {
  const register = async (
    body: z.infer<typeof registerBody>,
    { authenticateService }: Pick<Caller, 'authenticateService'>,
  ) => {
    const { username, password, auth } = body;
    const inhibitLogin = body.inhibit_login ?? false;
    const device = {
      deviceId: body.device_id,
      displayName: body.initial_device_display_name,
      refreshable: body.refresh_token,
    };
    if (body.type !== 'm.login.application_service') {
      return accounts.registration.register({ username, password, device, inhibitLogin, auth });
    }
    const service = authenticateService();
    if (username === undefined) throw missingParam("'username' is required");
    const checkMayMake = (userId: UserId) => services.checkMayMake(service, userId);
    return accounts.registration.registerReserved({ username, device, inhibitLogin, checkMayMake });
  };

  return [
    openRoute({
      method: 'POST',
      path: clientPath('/register'),
      counts: 'registrations',
      query: z.object({ kind: z.enum(['user', 'guest']).default('user') }),
      body: registerBody,
      handle: async ({ query, body, authenticateService }) => {
        if (query.kind === 'guest') throw guestAccessForbidden('This server has no guest accounts');
        const { userId, signedIn } = await register(body, { authenticateService });
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

import { z } from 'zod';
import type { Accounts } from '../../../accounts/accounts.ts';
import { parseIdentifier } from '../../../accounts/identifier.ts';
import type { Login } from '../../../accounts/login.ts';
import type { Acting } from '../../../appservices/acting.ts';
import { missingParam, unknown } from '../../../matrix/errors.ts';
import { serverOfUser, type UserId } from '../../../matrix/ids.ts';
import { clientPath, openRoute, type Route, userRoute, withDevice } from '../../route.ts';
import { deviceId, deviceName, jsonObject, optional } from '../../shapes.ts';
import { wellKnownOf } from '../well-known.ts';
import { presentGrant } from './refresh.ts';

export interface LoginRoutesDeps {
  readonly accounts: Pick<Accounts, 'login' | 'loginTokens' | 'interactiveAuth' | 'devices'>;
  readonly services: Pick<Acting, 'getOwnUser'>;
  /** Whether there are any. */
  readonly hasServices: boolean;
  /** Repeated to the client at login; null: not configured. */
  readonly baseUrl: string | null;
}

const serviceLogin = 'm.login.application_service';

const loginBody = z.object({
  type: z.string(),
  identifier: z.unknown().optional(),
  user: z.unknown().optional(),
  password: optional(z.string()),
  token: optional(z.string()),
  device_id: optional(deviceId),
  initial_device_display_name: optional(deviceName),
  refresh_token: optional(z.boolean()),
});

/** Client-server API, "Login" and "Logout". */
export function loginRoutes({ accounts, services, hasServices, baseUrl }: LoginRoutesDeps): Route[] {
  return [
    openRoute({
      method: 'GET',
      path: clientPath('/login'),
      handle: async () => ({
        flows: [
          { type: 'm.login.password' },
          { type: 'm.login.token', get_login_token: true },
          ...(hasServices ? [{ type: serviceLogin }] : []),
        ],
      }),
    }),
    openRoute({
      method: 'POST',
      path: clientPath('/login'),
      counts: 'logins',
      body: loginBody,
      handle: async ({ body, authenticateService }) => {
        const getOwnUser = async (user: string | undefined) => {
          const service = authenticateService();
          if (user === undefined) throw missingParam("'identifier' is required");
          return services.getOwnUser(service, user);
        };
        const signedIn = await signIn(accounts, body, getOwnUser);
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
      path: clientPath('/login/get_token', 'v1'),
      counts: 'logins',
      body: z.object({ auth: optional(jsonObject) }),
      handle: async ({ requester, body }) => {
        const { userId } = requester;
        const purpose = `login token for ${userId}`;
        await accounts.interactiveAuth.authorize({ purpose, stage: 'm.login.password', userId, auth: body.auth });
        const { token, expiresInMs } = accounts.loginTokens.create(withDevice(requester));
        return { login_token: token, expires_in_ms: expiresInMs };
      },
    }),
    userRoute({
      method: 'POST',
      path: clientPath('/logout'),
      handle: async ({ requester }) => {
        const { userId, deviceId } = withDevice(requester);
        await accounts.devices.remove(userId, [deviceId]);
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

/**
 * `getOwnUser`: whom the service that calls means. Throws M_MISSING_PARAM for what the type needs, M_UNKNOWN for another type, and what the
 * login itself throws.
 */
async function signIn(
  { login }: Pick<Accounts, 'login'>,
  body: z.infer<typeof loginBody>,
  getOwnUser: (user: string | undefined) => Promise<UserId>,
): ReturnType<Login['byPassword']> {
  const device = {
    deviceId: body.device_id,
    displayName: body.initial_device_display_name,
    refreshable: body.refresh_token,
  };
  if (body.type === 'm.login.token') {
    if (body.token === undefined) throw missingParam("'token' is required");
    return login.byToken({ loginToken: body.token, device });
  }
  if (body.type === serviceLogin) {
    return login.vouchedFor({ userId: await getOwnUser(parseIdentifier(body)), device });
  }
  if (body.type !== 'm.login.password') throw unknown('Only m.login.password and m.login.token are offered');
  const user = parseIdentifier(body);
  if (user === undefined) throw missingParam("'identifier' is required");
  if (body.password === undefined) throw missingParam("'password' is required");
  return login.byPassword({ user, password: body.password, device });
}

import { z } from 'zod';
import type { Accounts } from '../../../accounts/accounts.ts';
import { forbidden } from '../../../matrix/errors.ts';
import type { ServerName } from '../../../matrix/server-name.ts';
import { clientPath, type Route, userRoute, withAnyDevice } from '../../route.ts';
import { userId } from '../../shapes.ts';

export interface OpenIdRoutesDeps {
  readonly accounts: Pick<Accounts, 'openIdTokens'>;
  readonly serverName: ServerName;
}

/** Client-server API, "OpenID". */
export function openIdRoutes({ accounts, serverName }: OpenIdRoutesDeps): Route[] {
  return [
    userRoute({
      method: 'POST',
      path: clientPath('/user/:userId/openid/request_token'),
      params: z.object({ userId }),
      body: z.object({}),
      handle: async ({ requester, params }) => {
        if (params.userId !== requester.userId) throw forbidden('A token is given for oneself only');
        const { token, expiresInMs } = accounts.openIdTokens.create(withAnyDevice(requester));
        return {
          access_token: token,
          token_type: 'Bearer',
          matrix_server_name: serverName,
          expires_in: Math.floor(expiresInMs / 1_000),
        };
      },
    }),
  ];
}

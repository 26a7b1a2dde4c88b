import { z } from 'zod';
import type { Accounts } from '../../accounts/accounts.ts';
import { unknownToken } from '../../matrix/errors.ts';
import { openRoute, type Route } from '../route.ts';

/** Server-server API, "OpenID". Asked by services that are no homeservers, so without a signature. */
export function openIdUserinfoRoutes({ accounts }: { accounts: Pick<Accounts, 'openIdTokens'> }): Route[] {
  return [
    openRoute({
      method: 'GET',
      path: '/_matrix/federation/v1/openid/userinfo',
      query: z.object({ access_token: z.string() }),
      handle: async ({ query }) => {
        const owner = accounts.openIdTokens.find(query.access_token);
        if (!owner) throw unknownToken('Access token unknown or expired');
        return { sub: owner.userId };
      },
    }),
  ];
}

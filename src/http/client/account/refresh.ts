import { z } from 'zod';
import type { Accounts } from '../../../accounts/accounts.ts';
import type { Grant } from '../../../accounts/tokens.ts';
import { clientPath, openRoute, type Route } from '../../route.ts';

/** Client-server API, "Refreshing access tokens". */
export function refreshRoutes({ accounts }: { accounts: Pick<Accounts, 'refresh'> }): Route[] {
  return [
    openRoute({
      method: 'POST',
      path: clientPath('/refresh'),
      counts: 'logins',
      body: z.object({ refresh_token: z.string() }),
      handle: async ({ body }) => presentGrant(await accounts.refresh(body.refresh_token)),
    }),
  ];
}

/** The tokens as a login, a registration and a refresh answer them. */
export function presentGrant(grant: Grant): Record<string, unknown> {
  return {
    access_token: grant.accessToken,
    ...(grant.refreshToken === undefined ? {} : { refresh_token: grant.refreshToken }),
    ...(grant.expiresInMs === undefined ? {} : { expires_in_ms: grant.expiresInMs }),
  };
}

import { z } from 'zod';
import type { Accounts } from '../../accounts/accounts.ts';
import { clientPath, type Route, userRoute } from '../route.ts';
import { jsonObject, userId } from '../shapes.ts';

/** Client-server API, "Filtering". */
export function filterRoutes({ accounts: { filters } }: { accounts: Pick<Accounts, 'filters'> }): Route[] {
  return [
    userRoute({
      method: 'POST',
      path: clientPath('/user/:userId/filter'),
      params: z.object({ userId }),
      body: jsonObject,
      bodyBytesMax: 64 * 1024,
      handle: async ({ requester, params, body }) => ({
        filter_id: await filters.create(requester.userId, params.userId, body),
      }),
    }),
    userRoute({
      method: 'GET',
      path: clientPath('/user/:userId/filter/:filterId'),
      params: z.object({ userId, filterId: z.string() }),
      handle: ({ requester, params }) => filters.get(requester.userId, params.userId, params.filterId),
    }),
  ];
}

import { z } from 'zod';
import type { Accounts } from '../../../accounts/accounts.ts';
import { clientPath, type Route, userRoute } from '../../route.ts';
import { jsonObject, roomId, shortText, userId } from '../../shapes.ts';

const globalPath = clientPath('/user/:userId/account_data/:type');
const roomPath = clientPath('/user/:userId/rooms/:roomId/account_data/:type');

/** Client-server API, "Client Config". */
export function accountDataRoutes({ accounts }: { accounts: Pick<Accounts, 'accountData'> }): Route[] {
  const { accountData } = accounts;
  const globalParams = z.object({ userId, type: shortText });
  const roomParams = z.object({ userId, roomId, type: shortText });
  return [
    userRoute({
      method: 'GET',
      path: globalPath,
      params: globalParams,
      handle: ({ requester, params }) => accountData.get(requester.userId, { ...params, roomId: null }),
    }),
    userRoute({
      method: 'PUT',
      path: globalPath,
      params: globalParams,
      body: jsonObject,
      handle: async ({ requester, params, body }) => {
        await accountData.put(requester.userId, { ...params, roomId: null }, body);
        return {};
      },
    }),
    userRoute({
      method: 'GET',
      path: roomPath,
      params: roomParams,
      handle: ({ requester, params }) => accountData.get(requester.userId, params),
    }),
    userRoute({
      method: 'PUT',
      path: roomPath,
      params: roomParams,
      body: jsonObject,
      handle: async ({ requester, params, body }) => {
        await accountData.put(requester.userId, params, body);
        return {};
      },
    }),
  ];
}

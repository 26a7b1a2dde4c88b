import { z } from 'zod';
import type { Accounts } from '../../../accounts/accounts.ts';
import { clientPath, type Route, userRoute } from '../../route.ts';
import { jsonObject, roomId, userId } from '../../shapes.ts';

const tagPath = clientPath('/user/:userId/rooms/:roomId/tags/:tag');

/** Client-server API, "Room Tagging". */
export function tagRoutes({ accounts: { tags } }: { accounts: Pick<Accounts, 'tags'> }): Route[] {
  const params = z.object({ userId, roomId, tag: z.string() });
  return [
    userRoute({
      method: 'GET',
      path: clientPath('/user/:userId/rooms/:roomId/tags'),
      params: z.object({ userId, roomId }),
      handle: async ({ requester, params }) => ({ tags: await tags.list(requester.userId, params) }),
    }),
    userRoute({
      method: 'PUT',
      path: tagPath,
      params,
      body: jsonObject,
      handle: async ({ requester, params, body }) => {
        await tags.put(requester.userId, params, body);
        return {};
      },
    }),
    userRoute({
      method: 'DELETE',
      path: tagPath,
      params,
      handle: async ({ requester, params }) => {
        await tags.remove(requester.userId, params);
        return {};
      },
    }),
  ];
}

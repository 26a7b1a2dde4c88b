import { z } from 'zod';
import type { UserDirectory } from '../../../directory/user-directory.ts';
import { clientPath, type Route, userRoute } from '../../route.ts';
import { integer, optional } from '../../shapes.ts';

const limitDefault = 10;

/** Client-server API, "User directory". */
export function userDirectoryRoutes({ users }: { readonly users: UserDirectory }): Route[] {
  return [
    userRoute({
      method: 'POST',
      path: clientPath('/user_directory/search'),
      body: z.object({ search_term: z.string(), limit: optional(integer.min(1)) }),
      handle: ({ requester, body }) =>
        users.search(requester.userId, { term: body.search_term, limit: body.limit ?? limitDefault }),
    }),
  ];
}

import { z } from 'zod';
import type { Accounts } from '../../accounts/accounts.ts';
import { clientPath, openRoute, type Route, userRoute } from '../route.ts';
import { userId } from '../shapes.ts';

const fields = ['displayname', 'avatar_url'] as const;

/** Client-server API, "Profiles". Anybody may read one, with or without a token. */
export function profileRoutes({ accounts }: { accounts: Pick<Accounts, 'profiles'> }): Route[] {
  const { profiles } = accounts;
  const params = z.object({ userId });
  return [
    openRoute({
      method: 'GET',
      path: clientPath('/profile/:userId'),
      params,
      handle: ({ params }) => profiles.get(params.userId),
    }),
    ...fields.flatMap((field): Route[] => [
      openRoute({
        method: 'GET',
        path: clientPath(`/profile/:userId/${field}`),
        params,
        handle: async ({ params }) => ({ [field]: await profiles.getField(params.userId, field) }),
      }),
      userRoute({
        method: 'PUT',
        path: clientPath(`/profile/:userId/${field}`),
        params,
        body: z.object({ [field]: z.string().nullable() }),
        handle: async ({ requester, params, body }) => {
          await profiles.setField(requester.userId, { userId: params.userId, field, value: body[field] ?? null });
          return {};
        },
      }),
    ]),
  ];
}

import { z } from 'zod';
import type { Accounts } from '../../../accounts/accounts.ts';
import { missingParam } from '../../../matrix/errors.ts';
import { clientPath, openRoute, type Route, userRoute } from '../../route.ts';
import { jsonObject, userId } from '../../shapes.ts';

/** Client-server API, "Profiles". Anybody may read one, with or without a token. */
export function profileRoutes({ accounts }: { accounts: Pick<Accounts, 'profiles'> }): Route[] {
  const { profiles } = accounts;
  const fieldPath = clientPath('/profile/:userId/:keyName');
  const params = z
    .object({ userId, keyName: z.string() })
    .transform((given) => ({ userId: given.userId, field: given.keyName }));
  return [
    openRoute({
      method: 'GET',
      path: clientPath('/profile/:userId'),
      params: z.object({ userId }),
      handle: ({ params }) => profiles.get(params.userId),
    }),
    openRoute({
      method: 'GET',
      path: fieldPath,
      params,
      handle: async ({ params }) => ({ [params.field]: await profiles.getField(params) }),
    }),
    userRoute({
      method: 'PUT',
      path: fieldPath,
      params,
      body: jsonObject,
      handle: async ({ requester, params, body }) => {
        if (!Object.hasOwn(body, params.field)) throw missingParam(`'${params.field}' is required`);
        await profiles.setField(requester.userId, params, body[params.field]);
        return {};
      },
    }),
    userRoute({
      method: 'DELETE',
      path: fieldPath,
      params,
      handle: async ({ requester, params }) => {
        await profiles.removeField(requester.userId, params);
        return {};
      },
    }),
  ];
}

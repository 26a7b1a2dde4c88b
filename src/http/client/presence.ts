import { z } from 'zod';
import { forbidden } from '../../matrix/errors.ts';
import type { Presence } from '../../presence/types.ts';
import { clientPath, type Route, userRoute, withAnyDevice } from '../route.ts';
import { userId } from '../shapes.ts';

/** In UTF-16 units; what other servers send is cut to the same. */
const statusLengthMax = 2_048;

/** Client-server API, "Presence". */
export function presenceRoutes({ presence }: { presence: Pick<Presence, 'getPresence' | 'putPresence'> }): Route[] {
  const path = clientPath('/presence/:userId/status');
  const params = z.object({ userId });
  return [
    userRoute({
      method: 'GET',
      path,
      params,
      handle: ({ requester, params }) => presence.getPresence(requester.userId, params.userId),
    }),
    userRoute({
      method: 'PUT',
      path,
      params,
      body: z.object({
        presence: z.enum(['online', 'unavailable', 'offline']),
        status_msg: z.string().max(statusLengthMax).nullish(),
      }),
      handle: async ({ requester, params, body }) => {
        if (params.userId !== requester.userId) throw forbidden('You can only set your own presence');
        // Without a status message there is none: a PUT that leaves it out clears it.
        await presence.putPresence(withAnyDevice(requester), body.presence, body.status_msg || null);
        return {};
      },
    }),
  ];
}

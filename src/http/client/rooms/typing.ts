import { z } from 'zod';
import type { Typing } from '../../../ephemeral/typing.ts';
import { forbidden } from '../../../matrix/errors.ts';
import { clientPath, type Route, userRoute } from '../../route.ts';
import { integer, optional, roomId, userId } from '../../shapes.ts';

/** Client-server API, "Typing Notifications". */
export function typingRoutes({ typing }: { typing: Pick<Typing, 'set'> }): Route[] {
  return [
    userRoute({
      method: 'PUT',
      path: clientPath('/rooms/:roomId/typing/:userId'),
      params: z.object({ roomId, userId }),
      body: z.object({ typing: z.boolean(), timeout: optional(integer) }),
      activity: true,
      handle: async ({ requester, params, body }) => {
        if (params.userId !== requester.userId) throw forbidden('You can only say of yourself that you are typing');
        typing.set(requester.userId, { roomId: params.roomId, typing: body.typing, timeoutMs: body.timeout });
        return {};
      },
    }),
  ];
}

import { z } from 'zod';
import type { Reporting } from '../../../operations/reporting.ts';
import { clientPath, type Route, userRoute } from '../../route.ts';
import { eventId, optional, roomId, userId } from '../../shapes.ts';

const reasonMax = 10_000;
const reason = z.string().max(reasonMax, `is longer than ${reasonMax} characters`);

/** Client-server API, "Reporting Content". */
export function reportRoutes({ reporting }: { reporting: Reporting }): Route[] {
  return [
    userRoute({
      method: 'POST',
      path: clientPath('/rooms/:roomId/report/:eventId'),
      params: z.object({ roomId, eventId }),
      // `score` was taken out of the specification; clients still send it.
      body: z.object({ reason: optional(reason) }),
      handle: async ({ requester, params, body }) => {
        await reporting.reportEvent(requester, params, body.reason ?? '');
        return {};
      },
    }),
    userRoute({
      method: 'POST',
      path: clientPath('/rooms/:roomId/report'),
      params: z.object({ roomId }),
      body: z.object({ reason }),
      handle: async ({ requester, params, body }) => {
        await reporting.reportRoom(requester.userId, params.roomId, body.reason);
        return {};
      },
    }),
    userRoute({
      method: 'POST',
      path: clientPath('/users/:userId/report'),
      params: z.object({ userId }),
      body: z.object({ reason }),
      handle: async ({ requester, params, body }) => {
        await reporting.reportUser(requester.userId, params.userId, body.reason);
        return {};
      },
    }),
  ];
}

import { z } from 'zod';
import type { Ping } from '../../appservices/ping.ts';
import { clientPath, type Route, userRoute } from '../route.ts';
import { optional, shortText } from '../shapes.ts';

/** Application service API, "Client-Server API Extensions": "accessible only by application services". */
export function appServiceRoutes({ ping }: { ping: Ping }): Route[] {
  return [
    userRoute({
      method: 'POST',
      path: clientPath('/appservice/:serviceId/ping', 'v1'),
      params: z.object({ serviceId: z.string() }),
      body: z.object({ transaction_id: optional(shortText) }),
      handle: async ({ requester: { service }, params: { serviceId }, body }) => ({
        duration_ms: await ping(service, { serviceId, transactionId: body.transaction_id }),
      }),
    }),
  ];
}

import { z } from 'zod';
import type { Ping } from '../../appservices/ping.ts';
import type { PublicRooms } from '../../directory/public-rooms.ts';
import { forbidden } from '../../matrix/errors.ts';
import { clientPath, type Requester, type Route, userRoute } from '../route.ts';
import { optional, roomId, shortText } from '../shapes.ts';

export interface AppServiceRoutesDeps {
  readonly ping: Ping;
  readonly publicRooms: Pick<PublicRooms, 'setNetworkVisibility'>;
}

/** Application service API, "Client-Server API Extensions": "accessible only by application services". */
export function appServiceRoutes({ ping, publicRooms }: AppServiceRoutesDeps): Route[] {
  const listed = clientPath('/directory/list/appservice/:networkId/:roomId');
  const params = z.object({ networkId: shortText, roomId });
  return [
    userRoute({
      method: 'PUT',
      path: listed,
      params,
      body: z.object({ visibility: z.enum(['public', 'private']) }),
      handle: async ({ requester, params: { networkId, roomId: room }, body }) => {
        await publicRooms.setNetworkVisibility({ serviceId: serviceIdOf(requester), networkId }, room, body.visibility);
        return {};
      },
    }),
    // Not in the specification, but bridges call it, for Synapse has it.
    userRoute({
      method: 'DELETE',
      path: listed,
      params,
      handle: async ({ requester, params: { networkId, roomId: room } }) => {
        await publicRooms.setNetworkVisibility({ serviceId: serviceIdOf(requester), networkId }, room, 'private');
        return {};
      },
    }),
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

function serviceIdOf({ service }: Requester): string {
  if (service === undefined) throw forbidden('Only application services have lists of rooms of their networks');
  return service.id;
}

import { z } from 'zod';
import type { RoomServer } from '../../federation-in/room-server.ts';
import { type Route, serverRoute } from '../route.ts';
import { eventId, jsonObject, roomId, userId } from '../shapes.ts';

/** Server-server API, "Leaving Rooms (Rejecting Invites)". */
export function leaveRoutes(deps: { readonly rooms: RoomServer }): Route[] {
  const sendLeave = (version: 'v1' | 'v2', answer: unknown): Route =>
    serverRoute({
      method: 'PUT',
      path: `/_matrix/federation/${version}/send_leave/:roomId/:eventId`,
      params: z.object({ roomId, eventId }),
      body: jsonObject,
      handle: async ({ params, body, origin }) => {
        await deps.rooms.sendLeave(origin, { ...params, event: body });
        return answer;
      },
    });
  return [
    serverRoute({
      method: 'GET',
      path: '/_matrix/federation/v1/make_leave/:roomId/:userId',
      params: z.object({ roomId, userId }),
      handle: ({ params, origin }) => deps.rooms.makeLeave(origin, params),
    }),
    sendLeave('v2', {}),
    // Deprecated: the answer comes as a list of the status and itself.
    sendLeave('v1', [200, {}]),
  ];
}

import { z } from 'zod';
import type { RoomServer } from '../../federation-in/room-server.ts';
import { type Route, serverRoute } from '../route.ts';
import { eventId, jsonObject, roomId, shortText } from '../shapes.ts';

const strippedEventsMax = 100;

/** Server-server API, "Inviting to a room", version 2 of the endpoint. */
export function inviteRoutes(deps: { readonly rooms: RoomServer }): Route[] {
  return [
    serverRoute({
      method: 'PUT',
      path: '/_matrix/federation/v2/invite/:roomId/:eventId',
      params: z.object({ roomId, eventId }),
      body: z.object({
        event: jsonObject,
        room_version: shortText,
        invite_room_state: z.array(jsonObject).max(strippedEventsMax).default([]),
      }),
      handle: async ({ params, body, origin }) => ({
        event: await deps.rooms.receiveInvite(origin, {
          ...params,
          roomVersion: body.room_version,
          event: body.event,
          strippedState: body.invite_room_state,
        }),
      }),
    }),
  ];
}

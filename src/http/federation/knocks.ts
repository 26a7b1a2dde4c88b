import { z } from 'zod';
import type { RoomServer } from '../../federation-in/room-server.ts';
import { type Route, serverRoute } from '../route.ts';
import { eventId, jsonObject, queryList, roomId, shortText, userId } from '../shapes.ts';
import { encodeWithPdus } from './encode-pdus.ts';

const versionsMax = 100;

/** Server-server API, "Knocking upon a room". */
export function knockRoutes(deps: { readonly rooms: Pick<RoomServer, 'makeKnock' | 'sendKnock'> }): Route[] {
  return [
    serverRoute({
      method: 'GET',
      path: '/_matrix/federation/v1/make_knock/:roomId/:userId',
      params: z.object({ roomId, userId }),
      // Without `ver` the asking server knows version 1 only.
      query: z.object({ ver: queryList(shortText, versionsMax).default(['1']) }),
      handle: ({ params, query, origin }) => deps.rooms.makeKnock(origin, { ...params, versions: query.ver }),
    }),
    serverRoute({
      method: 'PUT',
      path: '/_matrix/federation/v1/send_knock/:roomId/:eventId',
      params: z.object({ roomId, eventId }),
      body: jsonObject,
      handle: async ({ params, body, origin }) => {
        const state = await deps.rooms.sendKnock(origin, { ...params, event: body });
        return encodeWithPdus({ knock_room_state: state });
      },
    }),
  ];
}

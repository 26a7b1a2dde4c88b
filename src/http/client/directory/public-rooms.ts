import { z } from 'zod';
import type { PublicRooms } from '../../../directory/public-rooms.ts';
import type { ServerName } from '../../../matrix/server-name.ts';
import { publicRoomsBody, publicRoomsQuery } from '../../public-rooms-shapes.ts';
import { clientPath, openRoute, type Route, userRoute } from '../../route.ts';
import { optional, roomId, serverName } from '../../shapes.ts';

export interface PublicRoomsRoutesDeps {
  readonly publicRooms: PublicRooms;
  /** Our own name. */
  readonly serverName: ServerName;
}

const visibility = z.enum(['public', 'private']);
const room = z.object({ roomId });

/** Client-server API, "Published room directory". */
export function publicRoomsRoutes(deps: PublicRoomsRoutesDeps): Route[] {
  const server = { server: optional(serverName) };
  return [
    openRoute({
      method: 'GET',
      path: clientPath('/publicRooms'),
      query: publicRoomsQuery.extend(server),
      handle: async ({ query: { server: asked, ...request }, authenticate }) => {
        // Nobody asks other servers in our name without being known here.
        if (asked !== undefined && asked !== deps.serverName) await authenticate();
        return deps.publicRooms.list(asked, request);
      },
    }),
    userRoute({
      method: 'POST',
      path: clientPath('/publicRooms'),
      query: z.object(server),
      body: publicRoomsBody,
      handle: ({ query, body }) => deps.publicRooms.list(query.server, body),
    }),
    openRoute({
      method: 'GET',
      path: clientPath('/directory/list/room/:roomId'),
      params: room,
      handle: async ({ params }) => ({ visibility: await deps.publicRooms.getVisibility(params.roomId) }),
    }),
    userRoute({
      method: 'PUT',
      path: clientPath('/directory/list/room/:roomId'),
      params: room,
      body: z.object({ visibility: optional(visibility) }),
      handle: async ({ requester, params, body }) => {
        await deps.publicRooms.setVisibility(requester.userId, params.roomId, body.visibility ?? 'public');
        return {};
      },
    }),
  ];
}

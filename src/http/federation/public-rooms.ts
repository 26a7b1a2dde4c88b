import type { PublicRooms } from '../../directory/public-rooms.ts';
import { publicRoomsBody, publicRoomsQuery } from '../public-rooms-shapes.ts';
import { type Route, serverRoute } from '../route.ts';

/** Server-server API, "Published Room Directory": this server's own list, never that of another. */
export function publicRoomsServerRoutes({ publicRooms }: { readonly publicRooms: PublicRooms }): Route[] {
  const path = '/_matrix/federation/v1/publicRooms';
  return [
    serverRoute({
      method: 'GET',
      path,
      query: publicRoomsQuery,
      handle: ({ query }) => publicRooms.listForServer(query),
    }),
    serverRoute({
      method: 'POST',
      path,
      body: publicRoomsBody,
      handle: ({ body }) => publicRooms.listForServer(body),
    }),
  ];
}

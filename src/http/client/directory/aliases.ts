import { z } from 'zod';
import type { Aliases } from '../../../directory/aliases.ts';
import type { RoomState } from '../../../rooms/reading/room-state.ts';
import { clientPath, openRoute, type Route, userRoute } from '../../route.ts';
import { roomAlias, roomId } from '../../shapes.ts';

export interface DirectoryRoutesDeps {
  readonly aliases: Aliases;
  /** Throws M_FORBIDDEN for whoever may not look into the room. */
  readonly state: Pick<RoomState, 'checkMayRead'>;
}

/** Client-server API, "Room Aliases". */
export function directoryRoutes({ aliases, state }: DirectoryRoutesDeps): Route[] {
  const alias = z.object({ roomAlias });
  const room = z.object({ roomId });
  return [
    openRoute({
      method: 'GET',
      path: clientPath('/directory/room/:roomAlias'),
      params: alias,
      handle: async ({ params }) => {
        const found = await aliases.resolve(params.roomAlias);
        return { room_id: found.roomId, servers: found.servers };
      },
    }),
    userRoute({
      method: 'PUT',
      path: clientPath('/directory/room/:roomAlias'),
      params: alias,
      body: z.object({ room_id: roomId }),
      handle: async ({ requester, params, body }) => {
        await aliases.create(requester, params.roomAlias, body.room_id);
        return {};
      },
    }),
    userRoute({
      method: 'DELETE',
      path: clientPath('/directory/room/:roomAlias'),
      params: alias,
      handle: async ({ requester, params }) => {
        await aliases.remove(requester, params.roomAlias);
        return {};
      },
    }),
    userRoute({
      method: 'GET',
      path: clientPath('/rooms/:roomId/aliases'),
      params: room,
      handle: async ({ requester, params }) => {
        await state.checkMayRead(params.roomId, requester.userId);
        return { aliases: await aliases.list(params.roomId) };
      },
    }),
  ];
}

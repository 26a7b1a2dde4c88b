import { z } from 'zod';
import type { RoomServer } from '../../federation-in/room-server.ts';
import { type Route, serverRoute } from '../route.ts';
import { eventId, jsonObject, queryList, roomId, shortText, userId } from '../shapes.ts';
import { encodeWithPdus } from './encode-pdus.ts';

const versionsMax = 100;

/** Server-server API, "Joining Rooms". */
export function joinRoutes(deps: { readonly rooms: RoomServer }): Route[] {
  const sendJoin = (version: 'v1' | 'v2', around: { readonly before: string; readonly after: string }): Route =>
    serverRoute({
      method: 'PUT',
      path: `/_matrix/federation/${version}/send_join/:roomId/:eventId`,
      params: z.object({ roomId, eventId }),
      body: jsonObject,
      handle: async ({ params, body, origin }) => {
        const { event, state, authChain } = await deps.rooms.sendJoin(origin, { ...params, event: body });
        return encodeWithPdus({ event, state, auth_chain: authChain, members_omitted: 'false' }, around);
      },
    });
  return [
    serverRoute({
      method: 'GET',
      path: '/_matrix/federation/v1/make_join/:roomId/:userId',
      params: z.object({ roomId, userId }),
      // Without `ver` the asking server knows version 1 only.
      query: z.object({ ver: queryList(shortText, versionsMax).default(['1']) }),
      handle: ({ params, query, origin }) => deps.rooms.makeJoin(origin, { ...params, versions: query.ver }),
    }),
    sendJoin('v2', { before: '', after: '' }),
    // Deprecated: the answer comes as a list of the status and itself.
    sendJoin('v1', { before: '[200,', after: ']' }),
  ];
}

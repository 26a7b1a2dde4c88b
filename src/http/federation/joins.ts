import { z } from 'zod';
import type { RoomServer } from '../../federation-in/room-server.ts';
import { Reply, type Route, serverRoute } from '../route.ts';
import { eventId, jsonObject, queryList, roomId, shortText, userId } from '../shapes.ts';
import { pduList } from './pdu-list.ts';

const versionsMax = 100;

/** Server-server API, "Joining Rooms". */
export function joinRoutes(deps: { readonly rooms: RoomServer }): Route[] {
  const sendJoin = (version: 'v1' | 'v2', encode: (answer: string) => string): Route =>
    serverRoute({
      method: 'PUT',
      path: `/_matrix/federation/${version}/send_join/:roomId/:eventId`,
      params: z.object({ roomId, eventId }),
      body: jsonObject,
      handle: async ({ params, body, origin }) => {
        const answer = await deps.rooms.sendJoin(origin, { ...params, event: body });
        const { state, authChain } = answer;
        return new Reply(
          200,
          encode(
            `{"event":${answer.event},"state":${pduList(state)},"auth_chain":${pduList(authChain)},"members_omitted":false}`,
          ),
        );
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
    sendJoin('v2', (answer) => answer),
    // Deprecated: the answer comes as a list of the status and itself.
    sendJoin('v1', (answer) => `[200,${answer}]`),
  ];
}

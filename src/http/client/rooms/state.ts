import { z } from 'zod';
import type { Sending } from '../../../rooms/local/send.ts';
import type { RoomState } from '../../../rooms/reading/room-state.ts';
import { clientPath, Reply, type Route, userRoute } from '../../route.ts';
import { sentAtOf, sentAtQuery } from '../../sent-at.ts';
import { jsonObject, optional, roomId, shortText } from '../../shapes.ts';

export interface RoomStateRoutesDeps {
  readonly rooms: Sending;
  readonly state: RoomState;
}

const membership = z.enum(['join', 'invite', 'knock', 'leave', 'ban']);

/** Client-server API, "Getting events for a room" as far as state goes, and "Sending events to a room". */
export function roomStateRoutes(deps: RoomStateRoutesDeps): Route[] {
  return [...readRoutes(deps), ...memberRoutes(deps), ...keyRoutes(deps)];
}

function readRoutes({ state }: RoomStateRoutesDeps): Route[] {
  return [
    userRoute({
      method: 'GET',
      path: clientPath('/rooms/:roomId/state'),
      params: z.object({ roomId }),
      handle: async ({ requester, params }) => new Reply(200, await state.listState(requester, params.roomId)),
    }),
  ];
}

function memberRoutes({ state }: RoomStateRoutesDeps): Route[] {
  return [
    userRoute({
      method: 'GET',
      path: clientPath('/rooms/:roomId/members'),
      params: z.object({ roomId }),
      query: z.object({
        at: optional(z.string()),
        membership: optional(membership),
        not_membership: optional(membership),
      }),
      handle: async ({ requester, params, query }) => {
        const filter = { at: query.at, membership: query.membership, notMembership: query.not_membership };
        return new Reply(200, await state.listMembers(requester, params.roomId, filter));
      },
    }),
    userRoute({
      method: 'GET',
      path: clientPath('/rooms/:roomId/joined_members'),
      params: z.object({ roomId }),
      handle: async ({ requester, params }) =>
        new Reply(200, await state.listJoinedMembers(requester.userId, params.roomId)),
    }),
  ];
}

/** With an empty state key the path may end behind the type, with or without a slash. */
function keyRoutes({ rooms, state }: RoomStateRoutesDeps): Route[] {
  const params = z.object({ roomId, eventType: shortText, stateKey: shortText.default('') });
  const paths = [
    ...clientPath('/rooms/:roomId/state/:eventType/:stateKey'),
    ...clientPath('/rooms/:roomId/state/:eventType'),
    ...clientPath('/rooms/:roomId/state/:eventType/'),
  ];
  return [
    userRoute({
      method: 'GET',
      path: paths,
      params,
      query: z.object({ format: z.enum(['content', 'event']).default('content') }),
      handle: async ({ requester, params: { roomId: room, eventType, stateKey }, query }) => {
        const key = { type: eventType, stateKey, format: query.format };
        return new Reply(200, await state.getStateEvent(requester, room, key));
      },
    }),
    userRoute({
      method: 'PUT',
      path: paths,
      params,
      query: sentAtQuery,
      body: jsonObject,
      activity: true,
      counts: 'messages',
      handle: async ({ requester, params: { roomId: room, eventType, stateKey }, query, body }) => {
        const event = { roomId: room, type: eventType, sender: requester.userId, stateKey, content: body };
        return { event_id: await rooms.sendEvent({ ...event, sentAtMs: sentAtOf(requester, query) }) };
      },
    }),
  ];
}

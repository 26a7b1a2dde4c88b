import { z } from 'zod';
import { canonicalJson } from '../../base/json/canonical-json.ts';
import type { RoomServer } from '../../federation-in/room-server.ts';
import type { JsonObject } from '../../matrix/pdu.ts';
import { checkShape } from '../middleware/check-shape.ts';
import { Reply, type Route, serverRoute } from '../route.ts';
import { eventId, jsonObject, roomId, shortText } from '../shapes.ts';

const strippedEventsMax = 100;

const strippedState = z.array(jsonObject).max(strippedEventsMax).default([]);

/** Where the first version of the endpoint has it. The event itself is taken as it came. */
const firstVersionShape = z.object({ unsigned: z.object({ invite_room_state: strippedState }).optional() });

/** Server-server API, "Inviting to a room". */
export function inviteRoutes(deps: { readonly rooms: RoomServer }): Route[] {
  return [
    serverRoute({
      method: 'PUT',
      path: '/_matrix/federation/v2/invite/:roomId/:eventId',
      params: z.object({ roomId, eventId }),
      body: z.object({
        event: jsonObject,
        room_version: shortText,
        invite_room_state: strippedState,
      }),
      handle: async ({ params, body, origin }) => {
        const { event, room_version: roomVersion, invite_room_state: state } = body;
        const signed = await deps.rooms.receiveInvite(origin, { ...params, roomVersion, event, strippedState: state });
        return new Reply(200, signedInvite(signed));
      },
    }),
    // For servers that know room versions 1 and 2 only: the body is the event, the answer a list of the status and the object.
    serverRoute({
      method: 'PUT',
      path: '/_matrix/federation/v1/invite/:roomId/:eventId',
      params: z.object({ roomId, eventId }),
      body: jsonObject,
      handle: async ({ params, body, origin }) => {
        const { unsigned } = checkShape(firstVersionShape, body, 'body');
        const request = {
          ...params,
          roomVersion: undefined,
          event: body,
          strippedState: unsigned?.invite_room_state ?? [],
        };
        return new Reply(200, `[200,${signedInvite(await deps.rooms.receiveInvite(origin, request))}]`);
      },
    }),
  ];
}

/** As text, so that the numbers in it stay as its hashes have them. */
function signedInvite(event: JsonObject): string {
  return `{"event":${canonicalJson(event)}}`;
}

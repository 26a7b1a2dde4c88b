import { z } from 'zod';
import type { Sending } from '../../../rooms/local/send.ts';
import { clientPath, type Route, userRoute, withAnyDevice } from '../../route.ts';
import { sentAtOf, sentAtQuery } from '../../sent-at.ts';
import { eventId, jsonObject, optional, roomId, shortText } from '../../shapes.ts';

/** Client-server API, "Sending events to a room" and "Redactions". */
export function roomSendRoutes({ rooms }: { rooms: Sending }): Route[] {
  return [
    userRoute({
      method: 'PUT',
      path: clientPath('/rooms/:roomId/send/:eventType/:transactionId'),
      params: z.object({ roomId, eventType: shortText, transactionId: shortText }),
      query: sentAtQuery,
      body: jsonObject,
      activity: true,
      counts: 'messages',
      handle: async ({ requester, params, query, body }) => {
        const { eventType, transactionId } = params;
        const scope = `send ${params.roomId} ${eventType}`;
        const event = { roomId: params.roomId, type: eventType, sender: requester.userId, content: body };
        const transaction = { deviceId: withAnyDevice(requester).deviceId, scope, transactionId };
        const sentAtMs = sentAtOf(requester, query);
        return { event_id: await rooms.sendEvent({ ...event, sentAtMs, transaction }) };
      },
    }),
    userRoute({
      method: 'PUT',
      path: clientPath('/rooms/:roomId/redact/:eventId/:transactionId'),
      params: z.object({ roomId, eventId, transactionId: shortText }),
      body: z.object({ reason: optional(z.string()) }),
      activity: true,
      counts: 'messages',
      handle: async ({ requester, params, body }) => {
        const content = body.reason === undefined ? {} : { reason: body.reason };
        const event = { roomId: params.roomId, type: 'm.room.redaction', sender: requester.userId, content };
        const scope = `redact ${params.roomId} ${params.eventId}`;
        const transaction = { deviceId: withAnyDevice(requester).deviceId, scope, transactionId: params.transactionId };
        return { event_id: await rooms.sendEvent({ ...event, redacts: params.eventId, transaction }) };
      },
    }),
  ];
}

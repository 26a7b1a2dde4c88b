import { z } from 'zod';
import type { ReadMarkers } from '../../../ephemeral/read-markers.ts';
import type { Receipts } from '../../../ephemeral/receipts.ts';
import { invalidParam } from '../../../matrix/errors.ts';
import { clientPath, type Route, userRoute } from '../../route.ts';
import { eventId, optional, roomId } from '../../shapes.ts';

export interface ReceiptRoutesDeps {
  readonly receipts: Pick<Receipts, 'set'>;
  readonly readMarkers: Pick<ReadMarkers, 'set'>;
}

/** Client-server API, "Receipts" and "Read and unread markers". */
export function receiptRoutes({ receipts, readMarkers }: ReceiptRoutesDeps): Route[] {
  return [
    userRoute({
      method: 'POST',
      path: clientPath('/rooms/:roomId/receipt/:receiptType/:eventId'),
      params: z.object({ roomId, receiptType: z.string(), eventId }),
      body: z.object({ thread_id: z.unknown().optional() }),
      activity: true,
      handle: async ({ requester, params, body }) => {
        const { receiptType, ...place } = params;
        const threadId = body.thread_id;
        if (receiptType === 'm.read' || receiptType === 'm.read.private') {
          await receipts.set(requester.userId, { ...place, receiptType, threadId });
        } else if (receiptType === 'm.fully_read') {
          // "It is provided for an incompatible receipt type": the marker knows no threads.
          if (threadId !== undefined) throw invalidParam("'m.fully_read' takes no thread_id");
          await readMarkers.set(requester.userId, { roomId: place.roomId, fullyRead: place.eventId });
        } else {
          throw invalidParam('There is no such type of receipt');
        }
        return {};
      },
    }),
    userRoute({
      method: 'POST',
      path: clientPath('/rooms/:roomId/read_markers'),
      params: z.object({ roomId }),
      body: z.object({
        'm.fully_read': optional(eventId),
        'm.read': optional(eventId),
        'm.read.private': optional(eventId),
      }),
      activity: true,
      handle: async ({ requester, params, body }) => {
        await readMarkers.set(requester.userId, {
          roomId: params.roomId,
          fullyRead: body['m.fully_read'],
          read: body['m.read'],
          readPrivate: body['m.read.private'],
        });
        return {};
      },
    }),
  ];
}

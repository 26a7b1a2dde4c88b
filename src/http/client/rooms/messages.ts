import { z } from 'zod';
import { parseJson } from '../../../base/json/json.ts';
import { invalidParam, MatrixError } from '../../../matrix/errors.ts';
import { parseRoomEventFilter, type RoomEventFilter } from '../../../matrix/filter.ts';
import type { Moments } from '../../../rooms/reading/moments.ts';
import { messagesLimitMax, type RoomHistory } from '../../../rooms/reading/room-history.ts';
import { clientPath, Reply, type Route, userRoute } from '../../route.ts';
import { eventId, optional, queryInteger, roomId } from '../../shapes.ts';

const limitDefault = 10;
/** More is cut to what one answer holds. */
const limitMax = 100_000;
const limit = queryInteger(0, limitMax)
  .default(limitDefault)
  .transform((value) => Math.min(value, messagesLimitMax));

/** Client-server API, "Getting events for a room" as far as the past goes, "Event Context" and "Jump to date". */
export function roomMessagesRoutes({ history, moments }: { history: RoomHistory; moments: Moments }): Route[] {
  return [
    userRoute({
      method: 'GET',
      path: clientPath('/rooms/:roomId/event/:eventId'),
      params: z.object({ roomId, eventId }),
      handle: async ({ requester, params }) =>
        new Reply(200, await history.getEvent(requester, params.roomId, params.eventId)),
    }),
    userRoute({
      method: 'GET',
      path: '/_matrix/client/v1/rooms/:roomId/timestamp_to_event',
      params: z.object({ roomId }),
      query: z.object({ ts: queryInteger(0, Number.MAX_SAFE_INTEGER), dir: z.enum(['b', 'f']) }),
      handle: async ({ requester, params, query: { ts, dir } }) => {
        const direction = dir === 'b' ? 'backward' : 'forward';
        const { eventId, originServerTs } = await moments.findEvent(requester.userId, params.roomId, { ts, direction });
        return { event_id: eventId, origin_server_ts: originServerTs };
      },
    }),
    userRoute({
      method: 'GET',
      path: clientPath('/rooms/:roomId/messages'),
      params: z.object({ roomId }),
      query: z.object({
        // Required by the specification; clients that leave it out have always got the forward direction.
        dir: z.enum(['b', 'f']).default('f'),
        from: optional(z.string()),
        to: optional(z.string()),
        limit,
        filter: optional(z.string()),
      }),
      handle: async ({ requester, params, query }) => {
        const request = {
          direction: query.dir === 'b' ? ('backward' as const) : ('forward' as const),
          from: query.from,
          to: query.to,
          limit: query.limit,
          filter: readFilter(query.filter),
        };
        return new Reply(200, await history.listMessages(requester, params.roomId, request));
      },
    }),
    userRoute({
      method: 'GET',
      path: clientPath('/rooms/:roomId/context/:eventId'),
      params: z.object({ roomId, eventId }),
      query: z.object({ limit, filter: optional(z.string()) }),
      handle: async ({ requester, params, query }) => {
        const request = { eventId: params.eventId, limit: query.limit, filter: readFilter(query.filter) };
        return new Reply(200, await history.getContext(requester, params.roomId, request));
      },
    }),
  ];
}

/** A RoomEventFilter as JSON in the query. Throws M_INVALID_PARAM. */
function readFilter(text: string | undefined): RoomEventFilter {
  if (text === undefined) return parseRoomEventFilter({});
  const parsed = parseJson(text);
  if (parsed.outcome !== 'parsed') throw invalidParam("'filter': is not JSON");
  try {
    return parseRoomEventFilter(parsed.value);
  } catch (error) {
    throw error instanceof MatrixError ? invalidParam(error.message) : error;
  }
}

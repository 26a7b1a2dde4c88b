import { z } from 'zod';
import type { Clock } from '../../base/clock.ts';
import type { RoomServer } from '../../federation-in/room-server.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import { type Route, serverRoute } from '../route.ts';
import { eventId, integer, queryInteger, queryList, roomId } from '../shapes.ts';
import { encodeWithPdus } from './encode-pdus.ts';

export interface EventRoutesDeps {
  readonly rooms: RoomServer;
  readonly serverName: ServerName;
  readonly clock: Clock;
}

/** What one call may ask for; more than the limit is cut, as the specification allows. */
const eventIdsMax = 100;
const limitMax = 100_000;
const missingLimitDefault = 10;

/** Server-server API, "Retrieving events", "Backfilling and retrieving missing events" and "Room State Resolution". */
export function eventRoutes(deps: EventRoutesDeps): Route[] {
  const { rooms } = deps;
  const transaction = (pdus: readonly string[]) =>
    encodeWithPdus({
      origin: JSON.stringify(deps.serverName),
      origin_server_ts: String(deps.clock.now()),
      pdus,
    });
  return [
    serverRoute({
      method: 'GET',
      path: '/_matrix/federation/v1/event/:eventId',
      params: z.object({ eventId }),
      handle: async ({ params, origin }) => transaction([await rooms.getEvent(origin, params.eventId)]),
    }),
    serverRoute({
      method: 'GET',
      path: '/_matrix/federation/v1/state/:roomId',
      params: z.object({ roomId }),
      query: z.object({ event_id: eventId }),
      handle: async ({ params, query, origin }) => {
        const { pdus, authChain } = await rooms.getState(origin, { ...params, eventId: query.event_id });
        return encodeWithPdus({ auth_chain: authChain, pdus });
      },
    }),
    serverRoute({
      method: 'GET',
      path: '/_matrix/federation/v1/state_ids/:roomId',
      params: z.object({ roomId }),
      query: z.object({ event_id: eventId }),
      handle: async ({ params, query, origin }) => {
        const { pduIds, authChainIds } = await rooms.getStateIds(origin, { ...params, eventId: query.event_id });
        return { pdu_ids: pduIds, auth_chain_ids: authChainIds };
      },
    }),
    serverRoute({
      method: 'GET',
      path: '/_matrix/federation/v1/event_auth/:roomId/:eventId',
      params: z.object({ roomId, eventId }),
      handle: async ({ params, origin }) => encodeWithPdus({ auth_chain: await rooms.getEventAuth(origin, params) }),
    }),
    serverRoute({
      method: 'GET',
      path: '/_matrix/federation/v1/backfill/:roomId',
      params: z.object({ roomId }),
      query: z.object({ v: queryList(eventId, eventIdsMax), limit: queryInteger(0, limitMax) }),
      handle: async ({ params, query, origin }) =>
        transaction(await rooms.backfill(origin, { ...params, from: query.v, limit: query.limit })),
    }),
    serverRoute({
      method: 'GET',
      path: '/_matrix/federation/v1/timestamp_to_event/:roomId',
      params: z.object({ roomId }),
      query: z.object({ ts: queryInteger(0, Number.MAX_SAFE_INTEGER), dir: z.enum(['b', 'f']) }),
      handle: async ({ params, query: { ts, dir }, origin }) => {
        const direction = dir === 'b' ? 'backward' : 'forward';
        const found = await rooms.timestampToEvent(origin, { ...params, ts, direction });
        return { event_id: found.eventId, origin_server_ts: found.originServerTs };
      },
    }),
    serverRoute({
      method: 'POST',
      path: '/_matrix/federation/v1/get_missing_events/:roomId',
      params: z.object({ roomId }),
      body: z.object({
        earliest_events: z.array(eventId).max(eventIdsMax),
        latest_events: z.array(eventId).max(eventIdsMax),
        limit: integer.min(0).max(limitMax).default(missingLimitDefault),
        min_depth: integer.default(0),
      }),
      handle: async ({ params, body, origin }) => {
        const asked = { earliest: body.earliest_events, latest: body.latest_events };
        const bounds = { limit: body.limit, minDepth: body.min_depth };
        const events = await rooms.getMissingEvents(origin, { ...params, ...asked, ...bounds });
        return encodeWithPdus({ events });
      },
    }),
  ];
}

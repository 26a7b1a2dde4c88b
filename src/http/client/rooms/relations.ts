import { z } from 'zod';
import { type Relations, type RelationsRequest, relationsLimitMax } from '../../../rooms/reading/relations.ts';
import { Reply, type Route, userRoute } from '../../route.ts';
import { eventId, optional, queryBoolean, queryInteger, roomId, shortText } from '../../shapes.ts';

const path = '/_matrix/client/v1/rooms/:roomId';
const limitDefault = 20;
const limit = queryInteger(1, Number.MAX_SAFE_INTEGER)
  .default(limitDefault)
  .transform((value) => Math.min(value, relationsLimitMax));

const relationsQuery = z.object({
  dir: z.enum(['b', 'f']).default('b'),
  from: optional(z.string()),
  to: optional(z.string()),
  limit,
  recurse: queryBoolean.default(false),
});

function requestOf(
  { dir, ...query }: z.infer<typeof relationsQuery>,
  params: Pick<RelationsRequest, 'eventId'> & Partial<Pick<RelationsRequest, 'relType' | 'eventType'>>,
): RelationsRequest {
  const direction = dir === 'b' ? 'backward' : 'forward';
  return { relType: undefined, eventType: undefined, ...params, ...query, direction };
}

/** Client-server API, "Relationships API" and "Threading". */
export function relationRoutes({ relations }: { relations: Relations }): Route[] {
  return [
    userRoute({
      method: 'GET',
      path: `${path}/relations/:eventId`,
      params: z.object({ roomId, eventId }),
      query: relationsQuery,
      handle: async ({ requester, params: { roomId, ...of }, query }) =>
        new Reply(200, await relations.listRelations(requester, roomId, requestOf(query, of))),
    }),
    userRoute({
      method: 'GET',
      path: `${path}/relations/:eventId/:relType`,
      params: z.object({ roomId, eventId, relType: shortText }),
      query: relationsQuery,
      handle: async ({ requester, params: { roomId, ...of }, query }) =>
        new Reply(200, await relations.listRelations(requester, roomId, requestOf(query, of))),
    }),
    userRoute({
      method: 'GET',
      path: `${path}/relations/:eventId/:relType/:eventType`,
      params: z.object({ roomId, eventId, relType: shortText, eventType: shortText }),
      query: relationsQuery,
      handle: async ({ requester, params: { roomId, ...of }, query }) =>
        new Reply(200, await relations.listRelations(requester, roomId, requestOf(query, of))),
    }),
    userRoute({
      method: 'GET',
      path: `${path}/threads`,
      params: z.object({ roomId }),
      query: z.object({ include: z.enum(['all', 'participated']).default('all'), from: optional(z.string()), limit }),
      handle: async ({ requester, params, query: { include, ...query } }) =>
        new Reply(
          200,
          await relations.listThreads(requester, params.roomId, { ...query, participated: include === 'participated' }),
        ),
    }),
  ];
}

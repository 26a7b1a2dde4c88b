import { z } from 'zod';
import { encodeByMembers } from '../../base/json/long-text.ts';
import type { QueryServer } from '../../federation-in/serve-queries.ts';
import { queriedUsers, wishedKeys } from '../key-shapes.ts';
import { type Route, serverRoute } from '../route.ts';
import { roomAlias, shortText, userId } from '../shapes.ts';

/** Server-server API, "Querying for information", and "Device Management" and "End-to-End Encryption". */
export function queryRoutes(deps: { readonly queries: QueryServer }): Route[] {
  return [
    serverRoute({
      method: 'GET',
      path: '/_matrix/federation/v1/query/profile',
      query: z.object({ user_id: userId, field: shortText.optional() }),
      handle: ({ query }) => deps.queries.queryProfile(query.user_id, query.field),
    }),
    serverRoute({
      method: 'GET',
      path: '/_matrix/federation/v1/query/directory',
      query: z.object({ room_alias: roomAlias }),
      handle: ({ query }) => deps.queries.queryDirectory(query.room_alias),
    }),
    serverRoute({
      method: 'GET',
      path: '/_matrix/federation/v1/user/devices/:userId',
      params: z.object({ userId }),
      handle: ({ params }) => deps.queries.listDevices(params.userId),
    }),
    serverRoute({
      method: 'POST',
      path: '/_matrix/federation/v1/user/keys/query',
      body: z.object({ device_keys: queriedUsers }),
      handle: async ({ body }) => encodeByMembers(await deps.queries.queryKeys(body.device_keys)),
    }),
    serverRoute({
      method: 'POST',
      path: '/_matrix/federation/v1/user/keys/claim',
      body: z.object({ one_time_keys: wishedKeys }),
      handle: ({ body }) => deps.queries.claimKeys(body.one_time_keys),
    }),
  ];
}

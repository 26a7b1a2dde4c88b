import { z } from 'zod';
import type { Hierarchy } from '../../directory/hierarchy.ts';
import { type Route, serverRoute } from '../route.ts';
import { queryBoolean, roomId } from '../shapes.ts';

/** Server-server API, "Spaces". */
export function hierarchyServerRoutes({ hierarchy }: { hierarchy: Pick<Hierarchy, 'listForServer'> }): Route[] {
  return [
    serverRoute({
      method: 'GET',
      path: '/_matrix/federation/v1/hierarchy/:roomId',
      params: z.object({ roomId }),
      query: z.object({ suggested_only: queryBoolean.optional() }),
      handle: ({ params, query, origin }) =>
        hierarchy.listForServer(origin, { roomId: params.roomId, suggestedOnly: query.suggested_only ?? false }),
    }),
  ];
}

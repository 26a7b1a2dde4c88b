import { z } from 'zod';
import type { Aliases } from '../../../directory/aliases.ts';
import type { Hierarchy } from '../../../directory/hierarchy.ts';
import type { RoomSummaries } from '../../../directory/summary.ts';
import { invalidParam, MatrixError } from '../../../matrix/errors.ts';
import { isRoomAlias, isRoomId, type UserId } from '../../../matrix/ids.ts';
import { openRoute, type Requester, type Route, userRoute } from '../../route.ts';
import { optional, queryBoolean, queryInteger, queryList, roomId, serverName, shortText } from '../../shapes.ts';

export interface SpaceRoutesDeps {
  readonly hierarchy: Pick<Hierarchy, 'list'>;
  readonly summaries: RoomSummaries;
  readonly aliases: Pick<Aliases, 'resolve'>;
}

const serversMax = 50;

/** Client-server API, "Spaces" and "Room summaries". */
export function spaceRoutes({ hierarchy, summaries, aliases }: SpaceRoutesDeps): Route[] {
  return [
    userRoute({
      method: 'GET',
      path: '/_matrix/client/v1/rooms/:roomId/hierarchy',
      counts: 'messages',
      params: z.object({ roomId }),
      query: z.object({
        suggested_only: queryBoolean.optional(),
        limit: queryInteger(1, Number.MAX_SAFE_INTEGER).optional(),
        max_depth: queryInteger(0, Number.MAX_SAFE_INTEGER).optional(),
        from: shortText.optional(),
      }),
      handle: ({ requester, params, query }) =>
        hierarchy.list(requester.userId, {
          roomId: params.roomId,
          suggestedOnly: query.suggested_only ?? false,
          maxDepth: query.max_depth,
          limit: query.limit,
          from: query.from,
        }),
    }),
    openRoute({
      method: 'GET',
      path: '/_matrix/client/v1/room_summary/:roomIdOrAlias',
      counts: 'messages',
      params: z.object({ roomIdOrAlias: z.string() }),
      query: z.object({ via: optional(queryList(serverName, serversMax)) }),
      handle: async ({ params: { roomIdOrAlias }, query, authenticate }) => {
        const userId = await findUser(authenticate);
        const via = query.via ?? [];
        if (isRoomId(roomIdOrAlias)) return summaries.get(userId, { roomId: roomIdOrAlias, servers: via });
        if (!isRoomAlias(roomIdOrAlias)) throw invalidParam('That is neither a room id nor a room alias');
        const found = await aliases.resolve(roomIdOrAlias);
        return summaries.get(userId, { roomId: found.roomId, servers: [...via, ...found.servers] });
      },
    }),
  ];
}

/** Undefined for a stranger. A token that is no good is refused. */
async function findUser(authenticate: () => Promise<Requester>): Promise<UserId | undefined> {
  try {
    return (await authenticate()).userId;
  } catch (error) {
    if (error instanceof MatrixError && error.errcode === 'M_MISSING_TOKEN') return undefined;
    throw error;
  }
}

import { z } from 'zod';
import type { Presence } from '../../presence/types.ts';
import { type Route, userRoute } from '../route.ts';
import { queryInteger, userId } from '../shapes.ts';

const limitMax = 1_000;
const limitDefault = 500;

/** Our own: "who sees me, and why". Only of oneself. */
export function presenceAudienceRoutes({ presence }: { presence: Pick<Presence, 'explain'> }): Route[] {
  return [
    userRoute({
      method: 'GET',
      path: '/_matrix/client/unstable/dev.lantern/presence/audience',
      query: z.object({
        from: userId.optional(),
        limit: queryInteger(1, limitMax).optional(),
      }),
      handle: ({ requester, query }) =>
        presence.explain(requester.userId, { after: query.from ?? null, limit: query.limit ?? limitDefault }),
    }),
  ];
}

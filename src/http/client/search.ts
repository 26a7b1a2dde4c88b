import { z } from 'zod';
import { parseRoomEventFilter } from '../../matrix/filter.ts';
import { contextMax, type Search } from '../../rooms/reading/search.ts';
import { clientPath, Reply, type Route, userRoute } from '../route.ts';
import { integer, jsonObject, optional } from '../shapes.ts';

const contextDefault = 5;
const contextLimit = optional(integer.min(0)).transform((value) => Math.min(value ?? contextDefault, contextMax));
const termMax = 1_000;

const searchedKey = z.enum(['content.body', 'content.name', 'content.topic']);

const roomEvents = z.object({
  search_term: z.string().max(termMax, `is longer than ${termMax} characters`),
  keys: optional(z.array(searchedKey).max(searchedKey.options.length)),
  filter: optional(jsonObject),
  order_by: optional(z.enum(['recent', 'rank'])),
  event_context: optional(
    z.object({ before_limit: contextLimit, after_limit: contextLimit, include_profile: optional(z.boolean()) }),
  ),
  include_state: optional(z.boolean()),
  groupings: optional(
    z.object({ group_by: optional(z.array(z.object({ key: z.enum(['room_id', 'sender']) })).max(2)) }),
  ),
});

/** Client-server API, "Server Side Search". */
export function searchRoutes({ search }: { search: Search }): Route[] {
  return [
    userRoute({
      method: 'POST',
      path: clientPath('/search'),
      query: z.object({ next_batch: optional(z.string()) }),
      body: z.object({ search_categories: z.object({ room_events: optional(roomEvents) }) }),
      handle: async ({ requester, query, body }) => {
        const asked = body.search_categories.room_events;
        if (!asked) return { search_categories: {} };
        const context = asked.event_context;
        const found = await search.searchEvents(requester, {
          term: asked.search_term,
          keys: asked.keys ?? searchedKey.options,
          filter: parseRoomEventFilter(asked.filter, 'search_categories.room_events.filter'),
          order: asked.order_by ?? 'rank',
          context: context && {
            before: context.before_limit,
            after: context.after_limit,
            withProfiles: context.include_profile ?? false,
          },
          withState: asked.include_state ?? false,
          groupBy: [...new Set(asked.groupings?.group_by?.map(({ key }) => key))],
          from: query.next_batch,
        });
        return new Reply(200, `{"search_categories":{"room_events":${found}}}`);
      },
    }),
  ];
}

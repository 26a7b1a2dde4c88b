import { z } from 'zod';
import type { Random } from '../../base/random.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import type { Media } from '../../media/media.ts';
import { answerServer } from '../media-answer.ts';
import { addressOf, thumbnailOf, thumbnailQuery, waitOf, waitQuery } from '../media-shapes.ts';
import { type Route, serverRoute } from '../route.ts';

const params = z.object({ mediaId: z.string() });

/** Server-server API, "Content Repository". Only what our own users uploaded: copies are had from where they come from. */
export function mediaServerRoutes(deps: { media: Media; serverName: ServerName; random: Random }): Route[] {
  const { media, serverName, random } = deps;
  return [
    serverRoute({
      method: 'GET',
      path: '/_matrix/federation/v1/media/download/:mediaId',
      params,
      query: waitQuery,
      handle: async ({ params, query, signal }) => {
        const address = addressOf({ ...params, serverName });
        return answerServer(await media.get({ ...address, ...waitOf(query), allowRemote: false, signal }), random);
      },
    }),
    serverRoute({
      method: 'GET',
      path: '/_matrix/federation/v1/media/thumbnail/:mediaId',
      params,
      query: thumbnailQuery,
      handle: async ({ params, query, signal }) => {
        const wish = { ...addressOf({ ...params, serverName }), ...waitOf(query), allowRemote: false, signal };
        return answerServer(await media.getThumbnail(wish, thumbnailOf(query)), random);
      },
    }),
  ];
}

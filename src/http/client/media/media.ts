import { z } from 'zod';
import { notFound, unrecognized } from '../../../matrix/errors.ts';
import type { Media } from '../../../media/media.ts';
import { answerContent } from '../../media-answer.ts';
import { addressOf, thumbnailOf, thumbnailQuery, waitOf, waitQuery } from '../../media-shapes.ts';
import { clientPath, openRoute, type Route, userRoute } from '../../route.ts';
import { queryBoolean } from '../../shapes.ts';
import { legacyMediaPath } from './upload.ts';

const place = z.object({ serverName: z.string(), mediaId: z.string() });
const namedPlace = place.extend({ fileName: z.string() });
const download = '/media/download/:serverName/:mediaId';
const thumbnail = '/media/thumbnail/:serverName/:mediaId';

/** Client-server API, "Content repository": what signed-in users get. */
export function mediaRoutes({ media }: { media: Media }): Route[] {
  return [
    userRoute({
      method: 'GET',
      path: clientPath(download, 'v1'),
      params: place,
      query: waitQuery,
      handle: async ({ params, query, signal, raw }) => {
        const content = await media.get({ ...addressOf(params), ...waitOf(query), allowRemote: true, signal });
        return answerContent(content, { raw, cache: 'private' });
      },
    }),
    userRoute({
      method: 'GET',
      path: clientPath(`${download}/:fileName`, 'v1'),
      params: namedPlace,
      query: waitQuery,
      handle: async ({ params, query, signal, raw }) => {
        const content = await media.get({ ...addressOf(params), ...waitOf(query), allowRemote: true, signal });
        return answerContent(content, { raw, fileName: params.fileName, cache: 'private' });
      },
    }),
    userRoute({
      method: 'GET',
      path: clientPath(thumbnail, 'v1'),
      params: place,
      query: thumbnailQuery,
      handle: async ({ params, query, signal, raw }) => {
        const wish = { ...addressOf(params), ...waitOf(query), allowRemote: true, signal };
        return answerContent(await media.getThumbnail(wish, thumbnailOf(query)), { raw, cache: 'private' });
      },
    }),
    userRoute({
      method: 'GET',
      path: [...clientPath('/media/config', 'v1'), ...legacyMediaPath('/config')],
      handle: async () => ({ 'm.upload.size': media.uploadBytesMax }),
    }),
    userRoute({
      method: 'GET',
      path: [...clientPath('/media/preview_url', 'v1'), ...legacyMediaPath('/preview_url')],
      query: z.object({ url: z.string() }),
      counts: 'previews',
      handle: async ({ query }) => {
        if (media.preview === undefined) throw unrecognized('This server makes no previews');
        return media.preview(query.url);
      },
    }),
  ];
}

const remoteQuery = { allow_remote: queryBoolean.optional() };

/**
 * The endpoints before Matrix 1.11, which ask for no token: "servers SHOULD freeze the deprecated, unauthenticated, endpoints". Where they
 * are not `open` they answer as if there were nothing.
 */
export function unauthenticatedMediaRoutes({ media, open }: { media: Media; open: boolean }): Route[] {
  const checkOpen = (): void => {
    if (!open) throw notFound('This server gives media to signed-in users alone');
  };
  return [
    openRoute({
      method: 'GET',
      path: legacyMediaPath('/download/:serverName/:mediaId'),
      params: place,
      query: waitQuery.extend(remoteQuery),
      handle: async ({ params, query, signal, raw }) => {
        checkOpen();
        const allowRemote = query.allow_remote ?? true;
        const content = await media.get({ ...addressOf(params), ...waitOf(query), allowRemote, signal });
        return answerContent(content, { raw, cache: 'public' });
      },
    }),
    openRoute({
      method: 'GET',
      path: legacyMediaPath('/download/:serverName/:mediaId/:fileName'),
      params: namedPlace,
      query: waitQuery.extend(remoteQuery),
      handle: async ({ params, query, signal, raw }) => {
        checkOpen();
        const allowRemote = query.allow_remote ?? true;
        const content = await media.get({ ...addressOf(params), ...waitOf(query), allowRemote, signal });
        return answerContent(content, { raw, fileName: params.fileName, cache: 'public' });
      },
    }),
    openRoute({
      method: 'GET',
      path: legacyMediaPath('/thumbnail/:serverName/:mediaId'),
      params: place,
      query: thumbnailQuery.extend(remoteQuery),
      handle: async ({ params, query, signal, raw }) => {
        checkOpen();
        const wish = { ...addressOf(params), ...waitOf(query), allowRemote: query.allow_remote ?? true, signal };
        return answerContent(await media.getThumbnail(wish, thumbnailOf(query)), { raw, cache: 'public' });
      },
    }),
  ];
}

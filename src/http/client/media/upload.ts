import { z } from 'zod';
import type { Clock } from '../../../base/clock.ts';
import { mxcUri } from '../../../matrix/mxc.ts';
import type { Media } from '../../../media/media.ts';
import type { IncomingContent } from '../../../media/uploads.ts';
import { addressOf } from '../../media-shapes.ts';
import { readBytes } from '../../middleware/read-bytes.ts';
import { type RequestParts, type Route, userRoute } from '../../route.ts';

const fileName = z.object({ filename: z.string().max(1_024, 'is longer than 1024 characters').optional() });

/** The paths before Matrix 1.11, and in older versions, which clients still use. */
export function legacyMediaPath(path: string): string[] {
  return ['v3', 'r0', 'v1'].map((version) => `/_matrix/media/${version}${path}`);
}

/** Client-server API, "Content repository": how content comes in. */
export function mediaUploadRoutes({ media, clock }: { media: Media; clock: Clock }): Route[] {
  return [
    userRoute({
      method: 'POST',
      path: legacyMediaPath('/upload'),
      query: fileName,
      counts: 'uploads',
      handle: async (request) => {
        const { server, mediaId } = await media.upload(request.requester.userId, contentOf(request, clock));
        return { content_uri: mxcUri(server, mediaId) };
      },
    }),
    userRoute({
      method: 'POST',
      path: '/_matrix/media/v1/create',
      counts: 'uploads',
      handle: async ({ requester }) => {
        const { server, mediaId, expiresAtMs } = await media.create(requester.userId);
        return { content_uri: mxcUri(server, mediaId), unused_expires_at: expiresAtMs };
      },
    }),
    userRoute({
      method: 'PUT',
      path: '/_matrix/media/v3/upload/:serverName/:mediaId',
      params: z.object({ serverName: z.string(), mediaId: z.string() }),
      query: fileName,
      counts: 'uploads',
      handle: async (request) => {
        await media.uploadTo(request.requester.userId, addressOf(request.params), contentOf(request, clock));
        return {};
      },
    }),
  ];
}

type UploadRequest = Pick<RequestParts<unknown, z.infer<typeof fileName>, unknown>, 'query' | 'raw'>;

function contentOf({ query, raw }: UploadRequest, clock: Clock): IncomingContent {
  const { 'content-length': length, 'content-type': type } = raw.headers;
  return {
    contentType: type,
    fileName: query.filename,
    announcedBytes: length === undefined ? undefined : Number(length),
    chunks: readBytes(raw, clock),
  };
}

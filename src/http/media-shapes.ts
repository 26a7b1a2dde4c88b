import { z } from 'zod';
import { notFound } from '../matrix/errors.ts';
import { isMediaId } from '../matrix/mxc.ts';
import { isServerName } from '../matrix/server-name.ts';
import type { FindWish } from '../media/contents.ts';
import type { ThumbnailWish } from '../media/thumbnails.ts';
import { queryBoolean, queryInteger } from './shapes.ts';

/** "The default value is 20000 (20 seconds)." */
const waitDefaultMs = 20_000;
const lengthMax = 100_000;

export const waitQuery = z.object({ timeout_ms: queryInteger(0, Number.MAX_SAFE_INTEGER).optional() });

export const thumbnailQuery = waitQuery.extend({
  width: queryInteger(1, lengthMax),
  height: queryInteger(1, lengthMax),
  method: z.enum(['crop', 'scale']).optional(),
  animated: queryBoolean.optional(),
});

export type MediaAddress = Pick<FindWish, 'server' | 'mediaId'>;

/** M_NOT_FOUND for what no media can have as its address; nothing of it ever becomes a path or a host. */
export function addressOf({ serverName, mediaId }: { serverName: string; mediaId: string }): MediaAddress {
  if (!isServerName(serverName) || !isMediaId(mediaId)) throw notFound('There is no such media');
  return { server: serverName, mediaId };
}

export function waitOf({ timeout_ms: waitMs = waitDefaultMs }: z.infer<typeof waitQuery>): { waitMs: number } {
  return { waitMs };
}

/** "When not provided, the server SHOULD NOT return an animated thumbnail." */
export function thumbnailOf(query: z.infer<typeof thumbnailQuery>): ThumbnailWish {
  const { width, height, method = 'scale', animated = false } = query;
  return { width, height, method, animated };
}

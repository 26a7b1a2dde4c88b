import type { ThumbnailSize } from './core/settings.ts';

/** The content as large as it is. */
export const ownSize = { width: 0, height: 0 };

/**
 * The smallest size of the method that is no smaller than what is asked for ("Servers MUST NOT return a smaller thumbnail than requested");
 * `ownSize` where all are. Only these are made, so that nobody can fill the disk with sizes.
 */
export function chooseSize(
  sizes: readonly ThumbnailSize[],
  wish: ThumbnailSize,
): { readonly width: number; readonly height: number } {
  const fitting = sizes.filter(
    ({ method, width, height }) => method === wish.method && width >= wish.width && height >= wish.height,
  );
  return fitting.sort((a, b) => a.width * a.height - b.width * b.height)[0] ?? ownSize;
}

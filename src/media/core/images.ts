import type { SharpOptions } from 'sharp';
import type { Log } from '../../base/log.ts';
import { Slots, SlotsFullError } from '../../base/tasks/slots.ts';

/** What of a file is known without decoding it. */
export interface ImageFacts {
  /** As it is shown, of one frame. */
  readonly width: number;
  readonly height: number;
  readonly frames: number;
  /** Of all frames together. */
  readonly pixels: number;
}

export interface ResizeWish {
  /** Undefined: as large as it is. Never enlarged. */
  readonly size: { readonly width: number; readonly height: number } | undefined;
  readonly method: 'crop' | 'scale';
  readonly animated: boolean;
  readonly as: 'png' | 'jpeg' | 'webp';
}

/** Too many pictures wait. */
export class ImagesBusyError extends Error {
  override name = 'ImagesBusyError';
}

export interface Images {
  /** Undefined for what is no picture of these kinds or is broken. Throws ImagesBusyError. */
  describe(path: string): Promise<ImageFacts | undefined>;
  /** Undefined for what cannot be decoded within the limits of size and time. Throws ImagesBusyError. */
  resize(path: string, wish: ResizeWish): Promise<Buffer | undefined>;
}

/** These types and no others are ever given to a decoder: no vectors, no documents, nothing that can name other files. */
export const decodedTypes: ReadonlySet<string> = new Set([
  'image/jpeg',
  'image/png',
  'image/apng',
  'image/gif',
  'image/webp',
  'image/avif',
]);
const loaders = [
  'VipsForeignLoadJpegFile',
  'VipsForeignLoadPngFile',
  'VipsForeignLoadNsgifFile',
  'VipsForeignLoadWebpFile',
  'VipsForeignLoadHeifFile',
];

/** One for each of two cores; each picture is worked on by one thread. */
const atOnce = { runningMax: 2, waitingMax: 200 };
const timeoutSeconds = 20;

type Sharp = typeof import('sharp').default;

/** The one place that knows sharp, which decodes in threads of its own. Loaded with the first picture. */
export function createImages({ pixelsMax, log }: { pixelsMax: number; log: Log }): Images {
  const slots = new Slots(atOnce);
  let loading: Promise<Sharp | undefined> | undefined;
  const prepare = async (): Promise<Sharp | undefined> => {
    try {
      const { default: sharp } = await import('sharp');
      sharp.concurrency(1);
      // What it would keep are decoded pictures, which nobody asks for twice.
      sharp.cache(false);
      sharp.block({ operation: ['VipsForeignLoad'] });
      sharp.unblock({ operation: loaders });
      return sharp;
    } catch (err) {
      log.error({ err }, 'sharp cannot be loaded: there are no thumbnails');
      return undefined;
    }
  };
  const run = async <T>(task: (sharp: Sharp) => Promise<T>): Promise<T | undefined> => {
    loading ??= prepare();
    const sharp = await loading;
    if (sharp === undefined) return undefined;
    try {
      return await slots.run(() => task(sharp).catch(() => undefined));
    } catch (error) {
      throw error instanceof SlotsFullError ? new ImagesBusyError('too many pictures wait') : error;
    }
  };
  const options: SharpOptions = { limitInputPixels: pixelsMax, failOn: 'error', sequentialRead: true };
  // Nothing is decoded with these: whoever asks decides by what it is told.
  const header: SharpOptions = { pages: -1, failOn: 'error', limitInputPixels: false };
  return {
    describe: (path) =>
      run(async (sharp) => {
        const { width, height, pages = 1, pageHeight, autoOrient } = await sharp(path, header).metadata();
        const frameHeight = pageHeight ?? height;
        const turned = pages === 1 ? autoOrient : { width, height: frameHeight };
        return { width: turned.width, height: turned.height, frames: pages, pixels: width * frameHeight * pages };
      }),
    resize: (path, { size, method, animated, as }) =>
      run((sharp) => {
        const picture = sharp(path, { ...options, animated });
        // Metadata stays behind, so the turn that it asks for is made.
        const upright = animated ? picture : picture.autoOrient();
        const fit = method === 'crop' ? 'cover' : 'inside';
        const resized = size ? upright.resize({ ...size, fit, withoutEnlargement: true }) : upright;
        return resized.timeout({ seconds: timeoutSeconds }).toFormat(as).toBuffer();
      }),
  };
}

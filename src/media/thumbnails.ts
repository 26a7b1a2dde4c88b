import { Readable } from 'node:stream';
import { LRUCache } from 'lru-cache';
import { limitExceeded, remoteTooLarge, tooLarge, unknown } from '../matrix/errors.ts';
import type { FileHash, ThumbnailKey, ThumbnailRow } from '../storage/contract/media.ts';
import type { Storage } from '../storage/contract/storage.ts';
import type { Content, Contents, FoundMedia } from './contents.ts';
import type { MediaFiles } from './core/files.ts';
import { decodedTypes, type ImageFacts, type Images, ImagesBusyError, type ResizeWish } from './core/images.ts';
import type { MediaSettings, ThumbnailSize } from './core/settings.ts';
import { chooseSize, ownSize } from './thumbnail-sizes.ts';

export interface ThumbnailWish extends ThumbnailSize {
  readonly animated: boolean;
}

export interface ThumbnailsDeps {
  readonly storage: Pick<Storage, 'media' | 'commit'>;
  readonly files: MediaFiles;
  readonly contents: Contents;
  readonly images: Images;
  readonly settings: MediaSettings;
}

/** A picture that could not be decoded is not tried again so soon. */
const failuresMax = 10_000;
const comeAgainMs = 2_000;

/** The types that a thumbnail may have; a content of another type never serves as its own. */
const thumbnailTypes: ReadonlySet<string> = new Set(['image/jpeg', 'image/png', 'image/gif', 'image/webp']);

/** Smaller pictures of contents, made when first asked for and kept as long as the content. */
export class Thumbnails {
  readonly #deps: ThumbnailsDeps;
  readonly #underWay = new Map<string, Promise<ThumbnailRow>>();
  readonly #undecodable = new LRUCache<FileHash, true>({ max: failuresMax });

  constructor(deps: ThumbnailsDeps) {
    this.#deps = deps;
  }

  /** M_UNKNOWN for what is no picture, M_TOO_LARGE for one with too many pixels, M_LIMIT_EXCEEDED while too many are worked on. */
  async get(media: FoundMedia, wish: ThumbnailWish): Promise<Content> {
    const { settings, contents } = this.#deps;
    const size = chooseSize(settings.thumbnailSizes, wish);
    const row = await this.#getRow(media, {
      ...size,
      sourceHash: media.hash,
      method: wish.method,
      animated: wish.animated,
    });
    return {
      hash: row.hash,
      size: row.size,
      contentType: row.contentType,
      fileName: `thumbnail.${row.contentType.replace('image/', '').replace('jpeg', 'jpg')}`,
      disposition: 'inline',
      read: (range) => contents.readFile(row.hash, range),
    };
  }

  async #getRow(media: FoundMedia, key: ThumbnailKey): Promise<ThumbnailRow> {
    const kept = await this.#deps.storage.media.findThumbnail(key);
    if (kept) return kept;
    const name = [key.sourceHash, key.width, key.height, key.method, key.animated].join(' ');
    const underWay = this.#underWay.get(name);
    if (underWay !== undefined) return underWay;
    const making = this.#make(media, key).finally(() => this.#underWay.delete(name));
    this.#underWay.set(name, making);
    return making;
  }

  async #make(media: FoundMedia, key: ThumbnailKey): Promise<ThumbnailRow> {
    const { files, images } = this.#deps;
    const type = media.sniffedType ?? '';
    if (!decodedTypes.has(type) || this.#undecodable.has(media.hash)) throw cannotMake();
    const path = files.pathOf(media.hash);
    const facts = await whileNotBusy(images.describe(path));
    if (facts === undefined) return this.#refuse(media.hash);
    const plan = decidePlan({ type, facts, key, pixelsMax: this.#deps.settings.thumbnailPixelsMax });
    if (plan.outcome === 'too large') throw tooLargeFor(media);
    if (plan.outcome === 'itself') return this.#keepItself(media, key, type);
    const bytes = await whileNotBusy(images.resize(path, plan.wish));
    if (bytes === undefined) return this.#refuse(media.hash);
    return this.#keep(key, bytes, `image/${plan.wish.as}`);
  }

  #refuse(hash: FileHash): never {
    this.#undecodable.set(hash, true);
    throw cannotMake();
  }

  async #keepItself({ hash, size }: FoundMedia, key: ThumbnailKey, contentType: string): Promise<ThumbnailRow> {
    const thumbnail = { ...key, hash, size, contentType };
    await this.#deps.storage.commit({ rows: [{ kind: 'media_thumbnail', thumbnail }] });
    return thumbnail;
  }

  async #keep(key: ThumbnailKey, bytes: Buffer, contentType: string): Promise<ThumbnailRow> {
    const { files, storage } = this.#deps;
    const received = await files.receive(Readable.from([bytes]), Number.POSITIVE_INFINITY);
    const thumbnail = { ...key, hash: received.hash, size: received.size, contentType };
    await files.keep(received, () => ({ rows: [{ kind: 'media_thumbnail', thumbnail }] }));
    return (await storage.media.findThumbnail(key)) ?? thumbnail;
  }
}

type Plan = { outcome: 'itself' } | { outcome: 'too large' } | { outcome: 'make'; wish: ResizeWish };

/** What to send for a picture of which this is known. */
export function decidePlan(from: { type: string; facts: ImageFacts; key: ThumbnailKey; pixelsMax: number }): Plan {
  const { type, facts, key, pixelsMax } = from;
  // A PNG may be animated and sharp would not know; the first picture of it is still.
  const mayMove = facts.frames > 1 || type === 'image/apng';
  const isOwnSize = key.width === ownSize.width;
  const isSmall = isOwnSize || (facts.width <= key.width && facts.height <= key.height);
  // "When the content is smaller than the requested dimensions, servers should return the original content rather than thumbnail it."
  if (isSmall && thumbnailTypes.has(type) && (!mayMove || key.animated)) return { outcome: 'itself' };
  const framePixels = facts.pixels / facts.frames;
  if (framePixels > pixelsMax) return { outcome: 'too large' };
  // "When true and the media cannot be animated … the server SHOULD behave as though animated is false."
  const animated = key.animated && facts.frames > 1 && facts.pixels <= pixelsMax;
  const size = isOwnSize ? undefined : { width: key.width, height: key.height };
  return { outcome: 'make', wish: { size, method: key.method, animated, as: formatFor(type, animated) } };
}

function formatFor(type: string, animated: boolean): ResizeWish['as'] {
  // "Servers SHOULD prefer to return image/webp thumbnails when supporting animation."
  if (animated || type === 'image/webp' || type === 'image/avif') return 'webp';
  return type === 'image/jpeg' ? 'jpeg' : 'png';
}

function cannotMake(): Error {
  return unknown('Cannot generate thumbnails for the requested content');
}

function tooLargeFor({ source }: FoundMedia): Error {
  return (source === 'remote' ? remoteTooLarge : tooLarge)('The content is too large to thumbnail');
}

async function whileNotBusy<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw error instanceof ImagesBusyError ? limitExceeded(comeAgainMs) : error;
  }
}

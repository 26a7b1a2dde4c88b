import { LRUCache } from 'lru-cache';
import { inTime, StalledError } from '../base/chunks.ts';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { OutgoingHttpError } from '../base/network/outgoing-http.ts';
import type { Random } from '../base/random.ts';
import type { Background } from '../base/tasks/background.ts';
import { Slots, SlotsFullError } from '../base/tasks/slots.ts';
import { badGateway, invalidParam, limitExceeded, MatrixError, notFound } from '../matrix/errors.ts';
import { type MediaId, mxcUri } from '../matrix/mxc.ts';
import type { ServerName } from '../matrix/server-name.ts';
import { cleanFileName } from './core/content-disposition.ts';
import { declaredType, essenceOf } from './core/content-type.ts';
import type { MediaFiles } from './core/files.ts';
import { ContentTooLargeError, type ReceivedFile } from './core/folder.ts';
import { decodedTypes, type ImageFacts, type Images, ImagesBusyError } from './core/images.ts';
import type { MediaSettings } from './core/settings.ts';
import { sniff } from './core/sniff.ts';
import { parseUrl, WebError, type WebFetch } from './core/web-fetch.ts';
import { type PageFacts, readPage } from './page.ts';

/** Open Graph properties, with the picture as media of this server (client-server API, `GET /preview_url`). */
export type Preview = Readonly<Record<string, string | number>>;

export interface PreviewsDeps {
  readonly serverName: ServerName;
  readonly web: WebFetch;
  readonly files: MediaFiles;
  readonly images: Images;
  readonly settings: MediaSettings;
  readonly background: Background;
  /** A picture was stored. */
  readonly onStored: () => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

const pageBytesMax = 512 * 1024;
const imageBytesMax = 10 * 1024 * 1024;
/** Of the page with all its redirects, and of its picture. */
const fetchTimeoutMs = 15_000;
const stallTimeoutMs = 10_000;
const keptMax = 2_000;
const keptMs = 60 * 60_000;
const failureKeptMs = 5 * 60_000;
const atOnce = { runningMax: 16, waitingMax: 200 };
const comeAgainMs = 1_000;
const schemes = ['https:', 'http:'] as const;

type Outcome = Preview | MatrixError;
type Fetched = { readonly page: PageFacts; readonly url: URL } | { readonly image: Picture };
interface Picture {
  readonly file: ReceivedFile;
  readonly contentType: string;
  readonly fileName: string | undefined;
}

/** Previews of pages that users name, fetched once for all who ask within the hour. */
export class Previews {
  readonly #deps: PreviewsDeps;
  readonly #kept: LRUCache<string, { outcome: Outcome; untilMs: number }> = new LRUCache({ max: keptMax });
  readonly #underWay = new Map<string, Promise<Outcome>>();
  readonly #slots = new Slots(atOnce);

  constructor(deps: PreviewsDeps) {
    this.#deps = deps;
  }

  /** M_INVALID_PARAM for what is no such URL, M_NOT_FOUND or 502 where it gives no page, M_LIMIT_EXCEEDED where too much is under way. */
  async get(text: string): Promise<Preview> {
    const url = readUrl(text).href;
    const kept = this.#kept.get(url);
    const isFresh = kept !== undefined && kept.untilMs > this.#deps.clock.monotonic();
    const outcome = isFresh ? kept.outcome : await (this.#underWay.get(url) ?? this.#start(url));
    if (outcome instanceof MatrixError) throw outcome;
    return outcome;
  }

  #start(url: string): Promise<Outcome> {
    const made = new Promise<Outcome>((resolve) => {
      const isStarted = this.#deps.background.run('preview of a page', async (signal) => {
        try {
          const outcome = await this.#slots.run(() =>
            this.#make(url, signal).catch((error) => this.#refusalFor(error)),
          );
          const keepMs = outcome instanceof MatrixError ? failureKeptMs : keptMs;
          this.#kept.set(url, { outcome, untilMs: this.#deps.clock.monotonic() + keepMs });
          resolve(outcome);
        } catch (error) {
          resolve(limitExceeded(comeAgainMs));
          if (!(error instanceof SlotsFullError)) throw error;
        } finally {
          this.#underWay.delete(url);
        }
      });
      if (!isStarted) resolve(limitExceeded(comeAgainMs));
    });
    this.#underWay.set(url, made);
    return made.finally(() => this.#underWay.delete(url));
  }

  async #make(url: string, signal: AbortSignal): Promise<Preview> {
    const fetched = await this.#fetch(url, signal);
    if ('image' in fetched) return this.#storePicture(fetched.image, undefined);
    const { properties, imageUrl, imageAlt } = fetched.page;
    if (imageUrl === undefined) return properties;
    return { ...properties, ...(await this.#picture(imageUrl, fetched.url, imageAlt, signal)) };
  }

  /** A page without its picture is better than none. */
  async #picture(imageUrl: string, base: URL, alt: string | undefined, signal: AbortSignal): Promise<Preview> {
    try {
      const fetched = await this.#fetch(parseUrl(imageUrl, schemes, base).href, signal);
      return 'image' in fetched ? await this.#storePicture(fetched.image, alt) : {};
    } catch (error) {
      this.#refusalFor(error);
      return {};
    }
  }

  async #fetch(url: string, signal: AbortSignal): Promise<Fetched> {
    const { web, files, clock } = this.#deps;
    const got: { fetched?: Fetched } = {};
    await web({
      url,
      schemes,
      timeoutMs: fetchTimeoutMs,
      signal,
      async take({ headers, url: foundAt }, arriving) {
        const chunks = inTime(arriving, { clock, stallTimeoutMs });
        const type = essenceOf(declaredType(headers.contentType));
        if (type === 'text/html' || type === 'application/xhtml+xml') {
          const page = await readPage(chunks, { contentType: headers.contentType, bytesMax: pageBytesMax });
          got.fetched = { page, url: foundAt };
        } else if (type.startsWith('image/')) {
          const file = await files.receive(chunks, imageBytesMax);
          const fileName = cleanFileName(safeDecode(foundAt.pathname.split('/').at(-1) ?? ''));
          got.fetched = { image: { file, contentType: type, fileName } };
        }
      },
    });
    if (got.fetched === undefined) throw new WebError('neither a page nor a picture');
    return got.fetched;
  }

  /** Nothing for what turns out to be no picture. */
  async #storePicture({ file, fileName }: Picture, alt: string | undefined): Promise<Preview> {
    const { files, images, serverName, clock, random, onStored } = this.#deps;
    const type = (await sniff(file.head)) ?? '';
    const facts = decodedTypes.has(type) ? await images.describe(file.path) : undefined;
    if (facts === undefined) {
      await files.discard(file);
      return {};
    }
    const mediaId = random.token(32) as MediaId;
    const nowMs = clock.now();
    const facts0 = {
      server: serverName,
      mediaId,
      source: 'preview' as const,
      uploader: null,
      createdAtMs: nowMs,
      lastUsedAtMs: nowMs,
    };
    await files.keep(file, ({ hash, size }) => ({
      rows: [{ kind: 'media', media: { ...facts0, hash, size, contentType: type, fileName: fileName ?? null } }],
    }));
    onStored();
    return describePicture(mxcUri(serverName, mediaId), { type, size: file.size, facts, alt });
  }

  #refusalFor(error: unknown): MatrixError {
    if (error instanceof ImagesBusyError) return limitExceeded(comeAgainMs);
    const isTheirs = [WebError, OutgoingHttpError, ContentTooLargeError, StalledError].some(
      (kind) => error instanceof kind,
    );
    if (!isTheirs) throw error;
    this.#deps.log.debug({ err: error }, 'a page could not be previewed');
    return error instanceof WebError
      ? notFound('There is no page to preview')
      : badGateway('The page could not be fetched');
  }
}

function readUrl(text: string): URL {
  try {
    return parseUrl(text, schemes);
  } catch (error) {
    throw error instanceof WebError ? invalidParam(`'url': ${error.message}`) : error;
  }
}

function describePicture(
  uri: string,
  { type, size, facts, alt }: { type: string; size: number; facts: ImageFacts; alt: string | undefined },
): Preview {
  return {
    'og:image': uri,
    'og:image:type': type,
    'og:image:width': facts.width,
    'og:image:height': facts.height,
    'matrix:image:size': size,
    ...(alt === undefined ? {} : { 'og:image:alt': alt }),
  };
}

function safeDecode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

import { LRUCache } from 'lru-cache';
import { inTime, StalledError } from '../base/chunks.ts';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { OutgoingHttpError } from '../base/network/outgoing-http.ts';
import type { Background } from '../base/tasks/background.ts';
import { Slots, SlotsFullError } from '../base/tasks/slots.ts';
import { SlotsByKey } from '../base/tasks/slots-by-key.ts';
import type { ContentHeaders, MediaRequests } from '../federation-out/media-requests.ts';
import { FederationError } from '../federation-out/requests-contract.ts';
import { limitExceeded, type MatrixError, notFound, notYetUploaded, remoteTooLarge } from '../matrix/errors.ts';
import type { MediaAddress } from '../storage/contract/media.ts';
import { parseFileName } from './core/content-disposition.ts';
import { declaredType } from './core/content-type.ts';
import type { MediaFiles } from './core/files.ts';
import { ContentTooLargeError, type ReceivedFile } from './core/folder.ts';
import type { MediaSettings } from './core/settings.ts';
import { WebError, type WebFetch } from './core/web-fetch.ts';

export interface RemoteMediaDeps {
  /** Undefined: there is no federation. */
  readonly requests: MediaRequests | undefined;
  /** For what another server keeps elsewhere. */
  readonly web: WebFetch;
  readonly files: MediaFiles;
  readonly settings: MediaSettings;
  readonly background: Background;
  /** A copy was stored. */
  readonly onStored: () => void;
  readonly clock: Clock;
  readonly log: Log;
}

/** From the request to the last byte, and between two chunks. */
const fetchTimeoutMs = 5 * 60_000;
const stallTimeoutMs = 30_000;
/** What a server did not have is not asked for again so soon. */
const failuresMax = 10_000;
const failureKeptMs = 60_000;
/** How far the frame of a content may make an answer longer than it is. */
const framingBytes = 256 * 1024;
const atOnce = { runningMax: 32, waitingMax: 1_000 };
const atOncePerServer = { runningMax: 8, waitingMax: 100 };
const comeAgainMs = 1_000;

type Fetched = 'stored' | MatrixError;
type Received = Omit<ContentHeaders, 'announcedBytes'> & { readonly file: ReceivedFile };

/** Copies of other servers' contents: one fetch for all who wait for it, which goes on when they leave. */
export class RemoteMedia {
  readonly #deps: RemoteMediaDeps;
  readonly #underWay = new Map<string, Promise<Fetched>>();
  readonly #failures: LRUCache<string, { error: MatrixError; untilMs: number }> = new LRUCache({ max: failuresMax });
  readonly #slots = new Slots(atOnce);
  readonly #serverSlots = new SlotsByKey(atOncePerServer);

  constructor(deps: RemoteMediaDeps) {
    this.#deps = deps;
  }

  /**
   * Resolves when the copy is stored. M_NOT_FOUND where it cannot be had, M_TOO_LARGE (502), M_NOT_YET_UPLOADED as the other server
   * says it; M_LIMIT_EXCEEDED where too much is under way.
   */
  async fetch(address: MediaAddress, waitMs: number): Promise<void> {
    const key = `${address.server}/${address.mediaId}`;
    const failure = this.#failures.get(key);
    if (failure !== undefined && failure.untilMs > this.#deps.clock.monotonic()) throw failure.error;
    const fetched = await (this.#underWay.get(key) ?? this.#start(key, address, waitMs));
    if (fetched !== 'stored') throw fetched;
  }

  #start(key: string, address: MediaAddress, waitMs: number): Promise<Fetched> {
    const { promise, resolve } = withResolvers<Fetched>();
    const isStarted = this.#deps.background.run('fetch of media', async (signal) => {
      try {
        resolve(await this.#fetchInTurn(key, address, waitMs, signal));
      } catch (error) {
        resolve(notFound('The media could not be fetched'));
        throw error;
      } finally {
        this.#underWay.delete(key);
      }
    });
    if (!isStarted) return Promise.resolve(limitExceeded(comeAgainMs));
    this.#underWay.set(key, promise);
    return promise;
  }

  async #fetchInTurn(key: string, address: MediaAddress, waitMs: number, signal: AbortSignal): Promise<Fetched> {
    try {
      await this.#serverSlots.run(address.server, () => this.#slots.run(() => this.#fetch(address, waitMs, signal)));
      this.#deps.onStored();
      return 'stored';
    } catch (error) {
      if (error instanceof SlotsFullError) return limitExceeded(comeAgainMs);
      const refusal = refusalFor(error);
      this.#deps.log.debug({ err: error, server: address.server }, 'media of another server could not be had');
      // What is not yet there may be in a moment.
      if (refusal.errcode !== 'M_NOT_YET_UPLOADED') {
        this.#failures.set(key, { error: refusal, untilMs: this.#deps.clock.monotonic() + failureKeptMs });
      }
      return refusal;
    }
  }

  async #fetch(address: MediaAddress, waitMs: number, signal: AbortSignal): Promise<void> {
    const { requests, web, files, clock } = this.#deps;
    if (requests === undefined) throw new FederationError('unreachable', 'there is no federation');
    const kept: { received?: Received } = {};
    const take = async (headers: ContentHeaders, chunks: AsyncIterable<Uint8Array>): Promise<void> => {
      kept.received = { ...headers, file: await this.#receive(headers, chunks) };
    };
    const downloaded = await requests.downloadMedia(address.server, address.mediaId, {
      waitMs,
      timeoutMs: fetchTimeoutMs,
      take,
    });
    if (downloaded.outcome === 'elsewhere') {
      await web({
        url: downloaded.location,
        schemes: ['https:'],
        timeoutMs: fetchTimeoutMs,
        signal,
        take: (page, chunks) => take(page.headers, chunks),
      });
    }
    const { received } = kept;
    if (received === undefined) throw new FederationError('bad_answer', `${address.server} gave no content`);
    const nowMs = clock.now();
    await files.keep(received.file, ({ hash, size }) => ({
      rows: [
        {
          kind: 'media',
          media: {
            ...address,
            source: 'remote',
            uploader: null,
            hash,
            size,
            contentType: declaredType(received.contentType),
            fileName: parseFileName(received.contentDisposition) ?? null,
            createdAtMs: nowMs,
            lastUsedAtMs: nowMs,
          },
        },
      ],
    }));
  }

  #receive({ announcedBytes = 0 }: ContentHeaders, chunks: AsyncIterable<Uint8Array>): Promise<ReceivedFile> {
    const { files, settings, clock } = this.#deps;
    if (announcedBytes > settings.remoteBytesMax + framingBytes) throw new ContentTooLargeError('it says so itself');
    return files.receive(inTime(chunks, { clock, stallTimeoutMs }), settings.remoteBytesMax);
  }
}

function refusalFor(error: unknown): MatrixError {
  if (error instanceof ContentTooLargeError) return remoteTooLarge('The content is too large to serve');
  if (error instanceof FederationError) {
    const errcode = error.body?.errcode;
    if (errcode === 'M_NOT_YET_UPLOADED') return notYetUploaded('The content has not yet been uploaded');
    if (errcode === 'M_TOO_LARGE') return remoteTooLarge('The content is too large to serve');
    return notFound('The other server did not give the media');
  }
  if ([WebError, OutgoingHttpError, StalledError].some((kind) => error instanceof kind))
    return notFound('The media could not be fetched');
  throw error;
}

function withResolvers<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

import type { Readable } from 'node:stream';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { notFound, notYetUploaded } from '../matrix/errors.ts';
import type { ServerName } from '../matrix/server-name.ts';
import type { FileHash, MediaAddress, MediaRow } from '../storage/contract/media.ts';
import type { Storage } from '../storage/contract/storage.ts';
import type { Arrivals } from './core/arrivals.ts';
import { isInlineType, servedType } from './core/content-type.ts';
import type { MediaFiles } from './core/files.ts';
import type { RemoteMedia } from './remote.ts';

/** What to send, and how it may be shown. */
export interface Content {
  /** Names the bytes: the same for the same. */
  readonly hash: FileHash;
  readonly size: number;
  readonly contentType: string;
  readonly fileName: string | undefined;
  readonly disposition: 'inline' | 'attachment';
  /** The bytes from `start` to `end`, both included, or all. Whoever takes the stream destroys it. M_NOT_FOUND if they are gone. */
  read(range?: { start: number; end: number }): Promise<Readable>;
}

export interface FindWish extends MediaAddress {
  /** How long to wait for a content that is awaited. */
  readonly waitMs: number;
  /** Whether other servers' contents may be asked for. */
  readonly allowRemote: boolean;
  readonly signal: AbortSignal;
}

export type FoundMedia = MediaRow & { readonly sniffedType: string | null; readonly quarantined: boolean };

export interface ContentsDeps {
  readonly serverName: ServerName;
  readonly storage: Pick<Storage, 'media' | 'commit'>;
  readonly files: MediaFiles;
  readonly arrivals: Arrivals;
  readonly remote: RemoteMedia;
  readonly clock: Clock;
  readonly log: Log;
}

/** "The content repository SHOULD impose a maximum value for this parameter": `timeout_ms`. */
const waitMaxMs = 60_000;
/** The last use of a copy is not written down more often. */
const useWrittenEveryMs = 60 * 60_000;

/** Finds contents: of this server, waited for where they are awaited; of others, fetched where they are not here yet. */
export class Contents {
  readonly #deps: ContentsDeps;

  constructor(deps: ContentsDeps) {
    this.#deps = deps;
  }

  /** Throws M_NOT_FOUND, M_NOT_YET_UPLOADED, and what fetching throws. */
  async get(wish: FindWish): Promise<FoundMedia> {
    const found = await (wish.server === this.#deps.serverName ? this.#getOwn(wish) : this.#getCopy(wish));
    // The same answer as for what never was: it tells nobody that somebody took offence.
    if (found.quarantined) throw notFound('There is no such media');
    return found;
  }

  async #getOwn({ server, mediaId, waitMs, signal }: FindWish): Promise<FoundMedia> {
    const address = { server, mediaId };
    const { storage, arrivals, clock } = this.#deps;
    const isOver = (found: { expiresAtMs: number }): boolean => found.expiresAtMs <= clock.now();
    let found = await storage.media.findMedia(address);
    if (found?.awaited === true && !isOver(found)) {
      await arrivals.wait(mediaId, Math.min(waitMs, waitMaxMs), signal);
      found = await storage.media.findMedia(address);
    }
    if (found === undefined || (found.awaited && isOver(found))) throw notFound('There is no such media');
    if (found.awaited) throw notYetUploaded('The content has not yet been uploaded');
    return found;
  }

  async #getCopy({ server, mediaId, waitMs, allowRemote }: FindWish): Promise<FoundMedia> {
    const address = { server, mediaId };
    const { storage, remote, clock } = this.#deps;
    let found = await storage.media.findMedia(address);
    if (found === undefined) {
      if (!allowRemote) throw notFound('There is no such media here');
      await remote.fetch(address, Math.min(waitMs, waitMaxMs));
      found = await storage.media.findMedia(address);
    }
    // It may have had to make room for others at once.
    if (found === undefined || found.awaited) throw notFound('There is no such media');
    const nowMs = clock.now();
    if (nowMs - found.lastUsedAtMs > useWrittenEveryMs)
      await storage.commit({ rows: [{ kind: 'media_used', address, atMs: nowMs }] });
    return found;
  }

  /** As the client-server API, "Serving inline content", has it. */
  present(media: FoundMedia): Content {
    const contentType = servedType(media.contentType, media.sniffedType);
    return {
      hash: media.hash,
      size: media.size,
      contentType,
      fileName: media.fileName ?? undefined,
      disposition: isInlineType(contentType) ? 'inline' : 'attachment',
      read: (range) => this.readFile(media.hash, range),
    };
  }

  async readFile(hash: FileHash, range?: { start: number; end: number }): Promise<Readable> {
    const stream = await this.#deps.files.read(hash, range);
    if (stream !== undefined) return stream;
    // A copy that was given up between two steps; of an upload it is a loss that somebody should see.
    this.#deps.log.warn({ hash }, 'a file of the media is not in its place');
    throw notFound('The content is gone');
  }
}

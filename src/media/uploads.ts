import { assert } from '../base/assert.ts';
import type { Clock } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import { SlotsFullError } from '../base/tasks/slots.ts';
import { SlotsByKey } from '../base/tasks/slots-by-key.ts';
import { cannotOverwriteMedia, forbidden, limitExceeded, notFound, tooLarge } from '../matrix/errors.ts';
import type { UserId } from '../matrix/ids.ts';
import type { MediaId } from '../matrix/mxc.ts';
import type { ServerName } from '../matrix/server-name.ts';
import type { Expectation } from '../storage/contract/commit.ts';
import type { MediaAddress } from '../storage/contract/media.ts';
import type { Storage } from '../storage/contract/storage.ts';
import type { Arrivals } from './core/arrivals.ts';
import { cleanFileName } from './core/content-disposition.ts';
import { declaredType } from './core/content-type.ts';
import type { MediaFiles } from './core/files.ts';
import { ContentTooLargeError, type ReceivedFile } from './core/folder.ts';
import { Quota, type Reservation } from './core/quota.ts';
import type { MediaSettings } from './core/settings.ts';

/** A content on its way from a client. */
export interface IncomingContent {
  readonly contentType: string | undefined;
  readonly fileName: string | undefined;
  /** How long it is said to be. */
  readonly announcedBytes: number | undefined;
  readonly chunks: AsyncIterable<Uint8Array>;
}

export interface UploadsDeps {
  readonly serverName: ServerName;
  readonly storage: Pick<Storage, 'media' | 'commit'>;
  readonly files: MediaFiles;
  readonly arrivals: Arrivals;
  readonly settings: MediaSettings;
  readonly clock: Clock;
  readonly random: Random;
}

/** Longer than anybody could guess: who knows the address may have the content. */
const mediaIdLength = 32;
/** Of one user. */
const uploadsAtOnce = { runningMax: 8, waitingMax: 16 };
const comeAgainMs = 1_000;

/** What users of this server upload. */
export class Uploads {
  readonly #deps: UploadsDeps;
  readonly #uploading = new SlotsByKey(uploadsAtOnce);
  /** Who asks for an address is counted and given one before they are counted again. */
  readonly #creating = new SlotsByKey({ runningMax: 1, waitingMax: 16 });

  readonly #quota: Quota;

  constructor(deps: UploadsDeps) {
    this.#deps = deps;
    const { settings, storage } = deps;
    this.#quota = new Quota({ bytesMax: settings.userBytesMax, sum: (uploader) => storage.media.sumUploads(uploader) });
  }

  /** M_TOO_LARGE, M_FORBIDDEN when the user has no room left, M_LIMIT_EXCEEDED when they upload too much at once. */
  async upload(uploader: UserId, content: IncomingContent): Promise<MediaAddress> {
    const address = this.#newAddress();
    const outcome = await this.#take(uploader, address, content, []);
    assert(outcome === 'committed', 'a new address was taken');
    return address;
  }

  /** An address for a content that comes later. M_LIMIT_EXCEEDED while the user holds as many as they may. */
  create(uploader: UserId): Promise<MediaAddress & { expiresAtMs: number }> {
    const { clock, settings, storage } = this.#deps;
    return inSlot(this.#creating, uploader, async () => {
      const nowMs = clock.now();
      if ((await storage.media.countAwaited(uploader, nowMs)) >= settings.awaitedMax)
        throw limitExceeded(settings.awaitedMs);
      const address = this.#newAddress();
      const expiresAtMs = nowMs + settings.awaitedMs;
      const media = { ...address, source: 'upload' as const, uploader, createdAtMs: nowMs, expiresAtMs };
      await storage.commit({ rows: [{ kind: 'media_awaited', media }] });
      return { ...address, expiresAtMs };
    });
  }

  /**
   * The content for an address that was created. M_NOT_FOUND for one that was not, or has expired; M_FORBIDDEN for somebody else's;
   * M_CANNOT_OVERWRITE_MEDIA for one that has its content.
   */
  async uploadTo(uploader: UserId, address: MediaAddress, content: IncomingContent): Promise<void> {
    const found =
      address.server === this.#deps.serverName ? await this.#deps.storage.media.findMedia(address) : undefined;
    if (found === undefined || found.source !== 'upload') throw notFound('Unknown media ID');
    if (found.uploader !== uploader) throw forbidden('Somebody else created this media ID');
    if (!found.awaited) throw cannotOverwriteMedia('Media already uploaded');
    if (found.expiresAtMs <= this.#deps.clock.now()) throw notFound('The media ID has expired');
    const expect = [{ kind: 'media_awaited' as const, address }];
    if ((await this.#take(uploader, address, content, expect)) === 'committed')
      return this.#deps.arrivals.tell(address.mediaId);
    // It came twice at once, or took so long that the address is gone.
    if ((await this.#deps.storage.media.findMedia(address)) === undefined) throw notFound('The media ID has expired');
    throw cannotOverwriteMedia('Media already uploaded');
  }

  #newAddress(): MediaAddress {
    return { server: this.#deps.serverName, mediaId: this.#deps.random.token(mediaIdLength) as MediaId };
  }

  #take(
    uploader: UserId,
    address: MediaAddress,
    content: IncomingContent,
    expect: readonly Expectation[],
  ): Promise<'committed' | 'conflict'> {
    const { files, clock } = this.#deps;
    return inSlot(this.#uploading, uploader, async () => {
      const room = await this.#reserve(uploader, content);
      try {
        const received = await this.#receive(room, content);
        const { outcome } = await files.keep(received, ({ hash, size }) => {
          const nowMs = clock.now();
          const facts = {
            contentType: declaredType(content.contentType),
            fileName: cleanFileName(content.fileName) ?? null,
          };
          const media = {
            ...address,
            ...facts,
            source: 'upload' as const,
            uploader,
            hash,
            size,
            createdAtMs: nowMs,
            lastUsedAtMs: nowMs,
          };
          return { rows: [{ kind: 'media', media }], expect };
        });
        return outcome;
      } finally {
        room.release();
      }
    });
  }

  /** Before anything of the content is read. */
  async #reserve(uploader: UserId, { announcedBytes }: IncomingContent): Promise<Reservation> {
    const { uploadBytesMax } = this.#deps.settings;
    if (announcedBytes !== undefined && announcedBytes > uploadBytesMax) throw this.#tooLarge();
    const room = await this.#quota.reserve(uploader, announcedBytes, uploadBytesMax);
    if (room === 'full') throw noRoom();
    if (room === 'taken for now') throw limitExceeded(comeAgainMs);
    return room;
  }

  async #receive(room: Reservation, { chunks }: IncomingContent): Promise<ReceivedFile> {
    try {
      return await this.#deps.files.receive(chunks, room.bytes);
    } catch (error) {
      if (!(error instanceof ContentTooLargeError)) throw error;
      throw room.bytes < this.#deps.settings.uploadBytesMax ? noRoom() : this.#tooLarge();
    }
  }

  #tooLarge(): Error {
    return tooLarge(`The content is longer than ${this.#deps.settings.uploadBytesMax} bytes`);
  }
}

function noRoom(): Error {
  return forbidden('You have uploaded as much as this server keeps for you');
}

async function inSlot<T>(slots: SlotsByKey, key: string, task: () => Promise<T>): Promise<T> {
  try {
    return await slots.run(key, task);
  } catch (error) {
    throw error instanceof SlotsFullError ? limitExceeded(comeAgainMs) : error;
  }
}

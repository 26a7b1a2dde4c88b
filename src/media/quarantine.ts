import { breathe } from '../base/breathe.ts';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { notFound } from '../matrix/errors.ts';
import type { RoomId, UserId } from '../matrix/ids.ts';
import { parseMxcUri } from '../matrix/mxc.ts';
import type { FileHash, MediaAddress } from '../storage/contract/media.ts';
import type { Storage } from '../storage/contract/storage.ts';

export interface QuarantineDeps {
  readonly storage: Pick<Storage, 'media' | 'rooms' | 'commit'>;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Contents that nobody gets any more, nor smaller pictures of them: by what is in them, so that another upload of the same bytes is one too, and so is a
 * copy that is fetched again. Each answers how many contents it concerned that were not quarantined before.
 */
export interface Quarantine {
  /** M_NOT_FOUND for what is not here. */
  quarantine(by: UserId, address: MediaAddress): Promise<number>;
  /** M_NOT_FOUND for what is not here. */
  release(by: UserId, address: MediaAddress): Promise<void>;
  /** All that is named in the room's events and kept here. M_NOT_FOUND for a room that nobody here knows. */
  quarantineRoom(by: UserId, roomId: RoomId): Promise<number>;
  /** All that the user has uploaded so far. */
  quarantineUser(by: UserId, uploader: UserId): Promise<number>;
}

const batchMax = 500;

export function createQuarantine({ storage, clock, log }: QuarantineDeps): Quarantine {
  async function put(by: UserId, hashes: readonly FileHash[]): Promise<number> {
    const atMs = clock.now();
    for (let start = 0; start < hashes.length; start += batchMax) {
      const batch = hashes.slice(start, start + batchMax);
      await storage.commit({
        rows: batch.map((hash) => ({ kind: 'media_quarantined' as const, hash, by, atMs })),
        durable: true,
      });
    }
    return hashes.length;
  }

  async function getHash(address: MediaAddress): Promise<FileHash> {
    const found = await storage.media.findMedia(address);
    if (found === undefined || found.awaited) throw notFound('There is no such media here');
    return found.hash;
  }

  return {
    async quarantine(by, address) {
      await getHash(address);
      log.info({ by, ...address }, 'a content is quarantined');
      return put(by, await storage.media.listQuarantinable([address]));
    },

    async release(by, address) {
      const hash = await getHash(address);
      await storage.commit({ rows: [{ kind: 'media_unquarantined', hash }], durable: true });
      log.info({ by, ...address }, 'a content is not quarantined any more');
    },

    async quarantineRoom(by, roomId) {
      if (!(await storage.rooms.find(roomId))) throw notFound('There is no such room');
      const addresses = (await storage.media.listUrlsInRoom(roomId)).flatMap((url) => parseMxcUri(url) ?? []);
      const hashes = new Set<FileHash>();
      for (let start = 0; start < addresses.length; start += batchMax) {
        const batch = addresses.slice(start, start + batchMax);
        for (const hash of await storage.media.listQuarantinable(batch)) hashes.add(hash);
        await breathe();
      }
      log.info({ by, roomId, contents: hashes.size }, 'the contents of a room are quarantined');
      return put(by, [...hashes]);
    },

    async quarantineUser(by, uploader) {
      const hashes = await storage.media.listQuarantinableOf(uploader);
      log.info({ by, uploader, contents: hashes.length }, 'the contents of a user are quarantined');
      return put(by, hashes);
    },
  };
}

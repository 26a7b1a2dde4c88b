import { breathe } from '../base/breathe.ts';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { notFound } from '../matrix/errors.ts';
import type { RoomId, UserId } from '../matrix/ids.ts';
import { parseMxcUri } from '../matrix/mxc.ts';
import type { Row } from '../storage/contract/commit.ts';
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
  /** What is kept here and named in the room's events, wherever else it was taken for. How many contents; M_NOT_FOUND as above. */
  releaseRoom(by: UserId, roomId: RoomId): Promise<number>;
  /** All that the user has uploaded. How many contents. */
  releaseUser(by: UserId, uploader: UserId): Promise<number>;
}

const batchMax = 500;

export function createQuarantine({ storage, clock, log }: QuarantineDeps): Quarantine {
  async function write(hashes: readonly FileHash[], rowOf: (hash: FileHash) => Row): Promise<number> {
    for (let start = 0; start < hashes.length; start += batchMax)
      await storage.commit({ rows: hashes.slice(start, start + batchMax).map(rowOf), durable: true });
    return hashes.length;
  }

  function put(by: UserId, hashes: readonly FileHash[]): Promise<number> {
    const atMs = clock.now();
    return write(hashes, (hash) => ({ kind: 'media_quarantined', hash, by, atMs }));
  }

  const free = (hashes: readonly FileHash[]): Promise<number> =>
    write(hashes, (hash) => ({ kind: 'media_unquarantined', hash }));

  async function getHash(address: MediaAddress): Promise<FileHash> {
    const found = await storage.media.findMedia(address);
    if (found === undefined || found.awaited) throw notFound('There is no such media here');
    return found.hash;
  }

  /** Of what the room's events name, what `list` has. */
  async function listInRoom(
    roomId: RoomId,
    list: (addresses: readonly MediaAddress[]) => Promise<FileHash[]>,
  ): Promise<FileHash[]> {
    if (!(await storage.rooms.find(roomId))) throw notFound('There is no such room');
    const addresses = (await storage.media.listUrlsInRoom(roomId)).flatMap((url) => parseMxcUri(url) ?? []);
    const hashes = new Set<FileHash>();
    for (let start = 0; start < addresses.length; start += batchMax) {
      for (const hash of await list(addresses.slice(start, start + batchMax))) hashes.add(hash);
      await breathe();
    }
    return [...hashes];
  }

  return {
    async quarantine(by, address) {
      await getHash(address);
      log.info({ by, ...address }, 'a content is quarantined');
      return put(by, await storage.media.listQuarantinable([address]));
    },

    async release(by, address) {
      const hash = await getHash(address);
      await free([hash]);
      log.info({ by, ...address }, 'a content is not quarantined any more');
    },

    async quarantineRoom(by, roomId) {
      const hashes = await listInRoom(roomId, (addresses) => storage.media.listQuarantinable(addresses));
      log.info({ by, roomId, contents: hashes.length }, 'the contents of a room are quarantined');
      return put(by, hashes);
    },

    async quarantineUser(by, uploader) {
      const hashes = await storage.media.listQuarantinableOf(uploader);
      log.info({ by, uploader, contents: hashes.length }, 'the contents of a user are quarantined');
      return put(by, hashes);
    },

    async releaseRoom(by, roomId) {
      const hashes = await listInRoom(roomId, (addresses) => storage.media.listQuarantined(addresses));
      log.info({ by, roomId, contents: hashes.length }, 'the contents of a room are not quarantined any more');
      return free(hashes);
    },

    async releaseUser(by, uploader) {
      const hashes = await storage.media.listQuarantinedOf(uploader);
      log.info({ by, uploader, contents: hashes.length }, 'the contents of a user are not quarantined any more');
      return free(hashes);
    },
  };
}

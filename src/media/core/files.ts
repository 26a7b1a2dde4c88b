import type { Readable } from 'node:stream';
import type { Clock } from '../../base/clock.ts';
import { Serial } from '../../base/tasks/serial.ts';
import type { CommitResult, Expectation, Row } from '../../storage/contract/commit.ts';
import type { FileHash, FileRow } from '../../storage/contract/media.ts';
import type { Storage } from '../../storage/contract/storage.ts';
import type { MediaFolder, ReceivedFile } from './folder.ts';
import { sniff } from './sniff.ts';

/** More hands on one file at once are refused. */
const waitingMax = 1_000;

export interface Keeping {
  readonly rows: readonly Row[];
  readonly expect?: readonly Expectation[];
}

/**
 * Files with their rows. A file is announced as unused before it is put in its place, and the row that uses it takes that back, so that a
 * crash in between leaves nothing that is not found and removed. One file has one hand on it at a time.
 */
export class MediaFiles {
  readonly #folder: MediaFolder;
  readonly #storage: Pick<Storage, 'media' | 'commit'>;
  readonly #clock: Clock;
  readonly #hands = new Serial({ waitingMax });

  constructor(deps: { folder: MediaFolder; storage: Pick<Storage, 'media' | 'commit'>; clock: Clock }) {
    this.#folder = deps.folder;
    this.#storage = deps.storage;
    this.#clock = deps.clock;
  }

  receive(chunks: AsyncIterable<Uint8Array>, bytesMax: number): Promise<ReceivedFile> {
    return this.#folder.receive(chunks, bytesMax);
  }

  discard(received: ReceivedFile): Promise<void> {
    return this.#folder.discard(received);
  }

  /** Puts the file in its place and commits, durably, what `use` says. After a conflict it is unused. */
  async keep(received: ReceivedFile, use: (file: FileRow) => Keeping): Promise<CommitResult> {
    const { hash, size } = received;
    try {
      const file = { hash, size, sniffedType: await sniff(received.head) };
      return await this.#hands.run(hash, async () => {
        await this.#storage.commit({ rows: [{ kind: 'media_file', file, atMs: this.#clock.now() }] });
        await this.#folder.place(received);
        return this.#storage.commit({ ...use(file), durable: true });
      });
    } catch (error) {
      await this.#folder.discard(received);
      throw error;
    }
  }

  pathOf(hash: FileHash): string {
    return this.#folder.pathOf(hash);
  }

  read(hash: FileHash, range?: { start: number; end: number }): Promise<Readable | undefined> {
    return this.#folder.read(hash, range);
  }

  /** Does nothing while something refers to the file. */
  removeUnused(hash: FileHash): Promise<void> {
    return this.#hands.run(hash, async () => {
      const file = await this.#storage.media.findFile(hash);
      if (file === undefined || file.isUsed) return;
      await this.#folder.remove(hash);
      await this.#storage.commit({ rows: [{ kind: 'media_file_removed', hash }] });
    });
  }
}

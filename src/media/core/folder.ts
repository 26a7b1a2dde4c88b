import { createHash } from 'node:crypto';
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { makeFolder } from '../../base/make-folder.ts';
import type { Random } from '../../base/random.ts';
import type { FileHash } from '../../storage/contract/media.ts';

/** The content is longer than it may be. Whose fault that is, the caller knows. */
export class ContentTooLargeError extends Error {
  override name = 'ContentTooLargeError';
}

/** A file that came whole and is synced to the disk, but not yet in its place. */
export interface ReceivedFile {
  readonly path: string;
  readonly hash: FileHash;
  readonly size: number;
  /** Its first bytes, for whoever guesses what it is. */
  readonly head: Buffer;
}

const headBytes = 4_100;
/** Of one read; at most a few of these are in memory for a download. */
const readBytes = 256 * 1024;

/**
 * The files of the media: `files/ab/abcd…` by the SHA-256 of what is in them, and `incoming` for those that are under way, which a start
 * empties. A file is in its place whole or not at all.
 */
export class MediaFolder {
  readonly #folder: string;
  readonly #random: Random;

  constructor(deps: { folder: string; random: Random }) {
    this.#folder = deps.folder;
    this.#random = deps.random;
  }

  get #incoming(): string {
    return join(this.#folder, 'incoming');
  }

  /** Before anything else. What was under way when the process ended is removed. */
  async prepare(): Promise<void> {
    await rm(this.#incoming, { recursive: true, force: true });
    makeFolder(this.#incoming);
    makeFolder(join(this.#folder, 'files'));
  }

  /**
   * Writes the chunks down while they arrive; no more than one is in memory. Throws ContentTooLargeError as soon as there are more than
   * `bytesMax`, and what the chunks throw; nothing is left of the file then.
   */
  async receive(chunks: AsyncIterable<Uint8Array>, bytesMax: number): Promise<ReceivedFile> {
    const path = join(this.#incoming, this.#random.token(24));
    const handle = await open(path, 'wx', 0o600);
    try {
      const written = await write(handle, chunks, bytesMax);
      await handle.datasync();
      await handle.close();
      return { path, ...written };
    } catch (error) {
      await handle.close().catch(() => {});
      await rm(path, { force: true });
      throw error;
    }
  }

  async discard({ path }: ReceivedFile): Promise<void> {
    await rm(path, { force: true });
  }

  /** Survives a power cut once this has resolved. */
  async place({ path, hash }: ReceivedFile): Promise<void> {
    const folder = this.#folderOf(hash);
    if ((await mkdir(folder, { recursive: true })) !== undefined) await sync(join(this.#folder, 'files'));
    await rename(path, this.pathOf(hash));
    await sync(folder);
  }

  pathOf(hash: FileHash): string {
    return join(this.#folderOf(hash), hash);
  }

  #folderOf(hash: FileHash): string {
    return join(this.#folder, 'files', hash.slice(0, 2));
  }

  /** From `start` to `end`, both included. Undefined where the file is not there. Whoever takes the stream destroys it. */
  async read(hash: FileHash, range: { start: number; end: number } | undefined): Promise<Readable | undefined> {
    try {
      const handle = await open(this.pathOf(hash), 'r');
      return handle.createReadStream({ ...range, highWaterMark: readBytes });
    } catch (error) {
      if (error instanceof Error && Reflect.get(error, 'code') === 'ENOENT') return undefined;
      throw error;
    }
  }

  async remove(hash: FileHash): Promise<void> {
    await rm(this.pathOf(hash), { force: true });
  }
}

async function write(
  handle: FileHandle,
  chunks: AsyncIterable<Uint8Array>,
  bytesMax: number,
): Promise<Omit<ReceivedFile, 'path'>> {
  const hash = createHash('sha256');
  let head = Buffer.alloc(0);
  let size = 0;
  for await (const chunk of chunks) {
    size += chunk.length;
    if (size > bytesMax) throw new ContentTooLargeError(`the content is longer than ${bytesMax} bytes`);
    if (head.length < headBytes) head = Buffer.concat([head, chunk.subarray(0, headBytes - head.length)]);
    hash.update(chunk);
    for (let at = 0; at < chunk.length; ) at += (await handle.write(chunk, at)).bytesWritten;
  }
  return { hash: hash.digest('hex') as FileHash, size, head };
}

/** A new name in a folder is on the disk when the folder is. */
async function sync(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

import type { Clock, Timer } from '../base/clock.ts';
import type { Background } from '../base/tasks/background.ts';
import type { MediaAddress } from '../storage/contract/media.ts';
import type { Storage } from '../storage/contract/storage.ts';
import type { MediaFiles } from './core/files.ts';
import type { MediaSettings } from './core/settings.ts';

export interface SweeperDeps {
  readonly storage: Pick<Storage, 'media' | 'commit'>;
  readonly files: MediaFiles;
  readonly settings: MediaSettings;
  readonly background: Background;
  readonly clock: Clock;
}

const everyMs = 60 * 60_000;
/** Rows of one commit. */
const batchMax = 100;
/** Where copies have to make room, they make some for the next too. */
const roomLeft = 0.95;

/** Removes addresses whose content never came, copies that nobody uses or that are too many, and files that nothing refers to. */
export class Sweeper {
  readonly #deps: SweeperDeps;
  #timer: Timer | undefined;
  #running = false;
  #again = false;

  constructor(deps: SweeperDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.sweep();
    this.#timer = this.#deps.clock.setTimer(everyMs, () => this.start());
  }

  stop(): void {
    this.#timer?.clear();
  }

  /** Soon, and again if it was called meanwhile. */
  sweep(): void {
    this.#again = true;
    if (this.#running) return;
    this.#running = this.#deps.background.run('sweep of media', async (signal) => {
      try {
        while (this.#again && !signal.aborted) {
          this.#again = false;
          await this.#sweepOnce(signal);
        }
      } finally {
        this.#running = false;
      }
    });
  }

  async #sweepOnce(signal: AbortSignal): Promise<void> {
    const { storage, settings, clock } = this.#deps;
    const { media } = storage;
    const nowMs = clock.now();
    await this.#removeAll(signal, () => media.listExpired(nowMs, batchMax));
    const { copiesKeepMs, copiesBytesMax } = settings;
    if (copiesKeepMs !== null)
      await this.#removeAll(signal, () => media.listCopiesByUse(nowMs - copiesKeepMs, batchMax));
    if (copiesBytesMax !== null && (await media.sumCopies()) > copiesBytesMax) {
      await this.#removeAll(signal, () => this.#listToMakeRoom(copiesBytesMax * roomLeft));
    }
    await this.#removeFiles(signal);
  }

  async #removeAll(signal: AbortSignal, list: () => Promise<readonly MediaAddress[]>): Promise<void> {
    const { storage, clock } = this.#deps;
    for (let found = await list(); found.length > 0 && !signal.aborted; found = await list()) {
      await storage.commit({
        rows: found.map(({ server, mediaId }) => ({
          kind: 'media_removed',
          address: { server, mediaId },
          atMs: clock.now(),
        })),
      });
    }
  }

  async #listToMakeRoom(bytesMax: number): Promise<MediaAddress[]> {
    const { media } = this.#deps.storage;
    let excess = (await media.sumCopies()) - bytesMax;
    if (excess <= 0) return [];
    const oldest = await media.listCopiesByUse(Number.MAX_SAFE_INTEGER, batchMax);
    return oldest.filter(({ size }) => {
      const goes = excess > 0;
      excess -= size;
      return goes;
    });
  }

  async #removeFiles(signal: AbortSignal): Promise<void> {
    const list = () => this.#deps.storage.media.listUnusedFiles(Number.MAX_SAFE_INTEGER, batchMax);
    const tried = new Set<string>();
    for (let unused = await list(); unused.length > 0 && !signal.aborted; unused = await list()) {
      // One that somebody has just announced stays in the list until it is used.
      const fresh = unused.filter((hash) => !tried.has(hash));
      if (fresh.length === 0) return;
      for (const hash of fresh) {
        tried.add(hash);
        await this.#deps.files.removeUnused(hash);
      }
    }
  }
}

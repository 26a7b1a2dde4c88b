import { Serial } from '../../base/tasks/serial.ts';
import type { UserId } from '../../matrix/ids.ts';

export interface QuotaDeps {
  /** Bytes of all that a user may have here; null: any number. */
  readonly bytesMax: number | null;
  /** Bytes of all that they have. */
  readonly sum: (uploader: UserId) => Promise<number>;
}

/** Room that nobody else can take meanwhile. */
export interface Reservation {
  readonly bytes: number;
  /** Once the content counts as stored, or will not come. */
  release(): void;
}

export type ReserveOutcome = Reservation | 'full' | 'taken for now';

interface Account {
  reserved: number;
  /** Reservations that are open. */
  open: number;
  releases: number;
}

const waitingMax = 100;

/**
 * What is under way counts too: many uploads at once are no more than one after another. In memory, since what was under way when the
 * process ended never counts.
 */
export class Quota {
  readonly #deps: QuotaDeps;
  readonly #serial = new Serial({ waitingMax });
  readonly #accounts = new Map<UserId, Account>();

  constructor(deps: QuotaDeps) {
    this.#deps = deps;
  }

  /**
   * Room for as many bytes; for a content of unknown length all that is left, up to `bytesMax`. Full: the user has as much as they may. Taken for now: what
   * is under way may leave enough.
   */
  async reserve(uploader: UserId, announced: number | undefined, bytesMax: number): Promise<ReserveOutcome> {
    const limit = this.#deps.bytesMax;
    if (limit === null) return { bytes: bytesMax, release: () => {} };
    return this.#serial.run(uploader, async () => {
      const account = this.#accounts.get(uploader) ?? { reserved: 0, open: 0, releases: 0 };
      const left = limit - (await this.#storedBeside(uploader, account));
      const free = left - account.reserved;
      const bytes = announced ?? Math.min(bytesMax, free);
      if (left <= 0 || bytes > left) return 'full';
      if (free <= 0 || bytes > free) return 'taken for now';
      return this.#open(uploader, account, bytes);
    });
  }

  /** What is stored, at a moment since which no reservation has become something stored. */
  async #storedBeside(uploader: UserId, account: Account): Promise<number> {
    for (;;) {
      const { releases } = account;
      const stored = await this.#deps.sum(uploader);
      // Nobody reserves meanwhile, so that this ends with the last one that is open.
      if (account.releases === releases) return stored;
    }
  }

  #open(uploader: UserId, account: Account, bytes: number): Reservation {
    account.reserved += bytes;
    account.open += 1;
    this.#accounts.set(uploader, account);
    return {
      bytes,
      release: () => {
        account.reserved -= bytes;
        account.open -= 1;
        account.releases += 1;
        if (account.open === 0) this.#accounts.delete(uploader);
      },
    };
  }
}

import type { ServerName } from '../../../src/matrix/server-name.ts';
import type { Transaction, World } from '../../support/presence-world.ts';

/** What may be wrong with the way to a server. */
export const troubles = ['is down', 'loses its answers', 'answers late', 'hears late', 'hears twice'] as const;
export type Trouble = (typeof troubles)[number];

/** How long a sender waits for the answer; then it takes the transaction for refused. */
const answerTimeoutMs = 30_000;

export type Parcel = Pick<Transaction, 'from' | 'to' | 'push'> & { readonly contents: readonly unknown[] };

/** A transaction that has not arrived yet, or whose answer has not. */
interface Held {
  readonly from: ServerName;
  readonly to: ServerName;
  /** False: the sender never learns what became of it. */
  end(goesOn: boolean): void;
}

/** The ways between servers: whether a transaction arrives, and whether who sent it gets to know. */
export class Ways {
  readonly #world: World;
  readonly #deliver: (parcel: Parcel) => Promise<boolean>;
  readonly #troubles = new Map<ServerName, Trouble>();
  readonly #held = new Set<Held>();

  constructor(world: World, deliver: (parcel: Parcel) => Promise<boolean>) {
    this.#world = world;
    this.#deliver = deliver;
  }

  /** What is on its way there goes on. */
  trouble(to: ServerName, trouble: Trouble): void {
    this.#troubles.set(to, trouble);
    this.#end(true, (held) => held.to === to);
  }

  mend(): void {
    this.#troubles.clear();
    this.#end(true, () => true);
  }

  /** The process of that server ends, and with it every request that it makes or answers. */
  endProcess(name: ServerName): void {
    this.#end(false, ({ from, to }) => from === name || to === name);
  }

  /** Whether the sender learns that it was taken. */
  async carry(parcel: Parcel): Promise<boolean> {
    const trouble = this.#troubles.get(parcel.to);
    if (trouble === 'is down') return false;
    if (trouble === 'hears late' && !(await this.#hold(parcel))) return false;
    const arrives = await this.#deliver(parcel);
    if (arrives && trouble === 'hears twice') await this.#deliver(parcel);
    if (!arrives || trouble === 'loses its answers') return false;
    return trouble === 'answers late' ? this.#hold(parcel) : true;
  }

  #hold({ from, to }: Parcel): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = this.#world.clock.setTimer(answerTimeoutMs, () => held.end(false));
      const held: Held = {
        from,
        to,
        end: (goesOn) => {
          timer.clear();
          this.#held.delete(held);
          resolve(goesOn);
        },
      };
      this.#held.add(held);
    });
  }

  #end(goesOn: boolean, which: (held: Held) => boolean): void {
    for (const held of [...this.#held]) if (which(held)) held.end(goesOn);
  }
}

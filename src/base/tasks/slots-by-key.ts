import { Slots } from './slots.ts';

/** `Slots` for each key: what one key has under way takes nothing from the others. Keys with nothing under way cost nothing. */
export class SlotsByKey {
  readonly #limits: { runningMax: number; waitingMax: number };
  readonly #slots = new Map<string, { slots: Slots; users: number }>();

  constructor(limits: { runningMax: number; waitingMax: number }) {
    this.#limits = limits;
  }

  /** Rejects with SlotsFullError, without running the task, when too many of this key wait. */
  async run<T>(key: string, task: () => Promise<T>): Promise<T> {
    const entry = this.#slots.get(key) ?? { slots: new Slots(this.#limits), users: 0 };
    this.#slots.set(key, entry);
    entry.users += 1;
    try {
      return await entry.slots.run(task);
    } finally {
      entry.users -= 1;
      if (entry.users === 0) this.#slots.delete(key);
    }
  }
}

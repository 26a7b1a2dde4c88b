/** Deletes some rows, inside a transaction. How many; 0: nothing is left. */
export type RemoveSome = () => number;

/**
 * What is gone for every reader, but too much to be deleted in one turn. Each transaction deletes some of it at its end, and while there is
 * more, another one follows. What this process does not come to, the next one finds.
 */
export class Leftovers {
  readonly #removals: RemoveSome[] = [];
  /** Of the last process there may be some. */
  #mayBeLeft = true;
  #removed = 0;

  get mayBeLeft(): boolean {
    return this.#mayBeLeft;
  }

  add(removeSome: RemoveSome): void {
    this.#removals.push(removeSome);
  }

  /** There are some now. Also where that, or their removal, was undone. */
  expect(): void {
    this.#mayBeLeft = true;
  }

  /** At the end of a transaction. */
  removeSome(): void {
    if (!this.#mayBeLeft) return;
    this.#mayBeLeft = this.#removals.some((removeSome) => {
      const removed = removeSome();
      this.#removed += removed;
      return removed > 0;
    });
  }

  /** How many rows were deleted since the last question. */
  takeRemoved(): number {
    const removed = this.#removed;
    this.#removed = 0;
    return removed;
  }
}

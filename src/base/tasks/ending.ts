/** What of an AbortSignal whoever waits needs: an AbortSignal is one. */
export interface EndSignal {
  readonly aborted: boolean;
  addEventListener(type: 'abort', listener: EndListener): void;
  removeEventListener(type: 'abort', listener: EndListener): void;
}

export interface EndListener {
  handleEvent(): void;
}

/**
 * The end of something that runs, wanted or not. Says what an AbortSignal says and makes a real one only for who asks for it: of a long-poll that is
 * answered with one line, that would be a tenth of the cost.
 */
export class Ending implements EndSignal {
  #aborted = false;
  #controller: AbortController | undefined;
  /** Mostly one, and then an array for one: `push` would make room for seventeen. */
  #listeners: EndListener[] | undefined;

  get aborted(): boolean {
    return this.#aborted;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#aborted) this.#controller.abort();
    }
    return this.#controller.signal;
  }

  /** Once; further calls do nothing. */
  abort(): void {
    if (this.#aborted) return;
    this.#aborted = true;
    this.#controller?.abort();
    const listeners = this.#listeners ?? [];
    this.#listeners = undefined;
    for (const listener of listeners) listener.handleEvent();
  }

  /** Not told any more once it is aborted. */
  addEventListener(_type: 'abort', listener: EndListener): void {
    if (this.#listeners === undefined) this.#listeners = [listener];
    else this.#listeners.push(listener);
  }

  removeEventListener(_type: 'abort', listener: EndListener): void {
    const at = this.#listeners?.indexOf(listener) ?? -1;
    if (at === -1) return;
    if (this.#listeners?.length === 1) this.#listeners = undefined;
    else this.#listeners?.splice(at, 1);
  }
}

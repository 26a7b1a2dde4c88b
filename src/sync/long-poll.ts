import { Later, type LaterListener } from '../base/tasks/later.ts';
import type { WaitListener } from '../feed/feed.ts';

/** What is asked in a long-poll. */
export interface Looking<Text> {
  /** The answer, where there is something to tell now. */
  look(): Text | undefined | Promise<Text | undefined>;
  /** True when it is worth another look, false when the time is over; undefined: the listener is told. */
  wait(listener: WaitListener): boolean | undefined;
  /** The answer at the end of the time. */
  nothing(): Text | Promise<Text>;
  /** Once, at the end of all. */
  close(): void;
}

/** Looks, and again whenever it is woken, until there is something to tell or the time is over. What waits is this object and what it asks. */
export class LongPoll<Text extends NonNullable<unknown>> extends Later<Text> implements WaitListener {
  #open: (() => Looking<Text> | Promise<Looking<Text>>) | undefined;
  #looking: Looking<Text> | undefined;
  #listener: LaterListener<Text> | undefined;

  /** What `open` throws or rejects with is how it fails. */
  constructor(open: () => Looking<Text> | Promise<Looking<Text>>) {
    super();
    this.#open = open;
  }

  begin(listener: LaterListener<Text>): void {
    this.#listener = listener;
    const open = this.#open;
    this.#open = undefined;
    this.#attempt(() => {
      const opening = open?.();
      if (opening instanceof Promise) this.#when(opening, (looking) => this.#start(looking));
      else if (opening !== undefined) this.#start(opening);
    });
  }

  waited(woken: boolean): void {
    this.#attempt(() => (woken ? this.#look() : this.#endWithNothing()));
  }

  #start(looking: Looking<Text>): void {
    this.#looking = looking;
    this.#look();
  }

  #look(): void {
    for (;;) {
      const look = this.#looking?.look();
      const next = look instanceof Promise ? this.#when(look, (told) => this.#take(told)) : this.#after(look);
      if (next !== 'look') return;
    }
  }

  #take(told: Text | undefined): void {
    if (this.#after(told) === 'look') this.#look();
  }

  #after(told: Text | undefined): 'look' | undefined {
    if (told !== undefined) {
      this.#end(told);
      return undefined;
    }
    const woken = this.#looking?.wait(this);
    if (woken === true) return 'look';
    if (woken === false) this.#endWithNothing();
    return undefined;
  }

  #endWithNothing(): void {
    const nothing = this.#looking?.nothing();
    if (nothing instanceof Promise) this.#when(nothing, (text) => this.#end(text));
    else if (nothing !== undefined) this.#end(nothing);
  }

  #end(text: Text): void {
    this.#close();
    this.#listener?.done(text);
  }

  #close(): void {
    const looking = this.#looking;
    this.#looking = undefined;
    looking?.close();
  }

  #when<T>(promise: Promise<T>, next: (value: T) => void): undefined {
    promise.then(
      (value) => this.#attempt(() => next(value)),
      (error: unknown) => this.#fail(error),
    );
  }

  #attempt(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    try {
      this.#close();
    } finally {
      this.#listener?.failed(error);
    }
  }
}

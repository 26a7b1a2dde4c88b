import { Later, type LaterListener, listenTo } from '../base/tasks/later.ts';
import type { Layer, RequestContext } from './request-state.ts';

/** The router or a route: what stands behind the layers. */
export type Behind = (context: RequestContext) => Promise<unknown> | Later<unknown>;

/** Runs what stands behind the layers within them. */
export type Surround = (context: RequestContext, behind: Behind) => Later<void>;

interface Around {
  readonly layers: readonly Layer[];
  readonly onError: (context: RequestContext, error: unknown) => void;
}

/**
 * Enters the layers one after the other, runs what stands behind them, and leaves the entered ones in the opposite order. `onError` answers for whatever is
 * thrown.
 */
export function surround(layers: Around['layers'], onError: Around['onError']): Surround {
  const around = { layers, onError };
  return (context, behind) => new Surrounded(around, context, behind);
}

/** One request within the layers. */
class Surrounded extends Later<void> implements LaterListener<unknown> {
  readonly #around: Around;
  readonly #context: RequestContext;
  readonly #behind: Behind;
  #entered = 0;
  #listener: LaterListener<void> | undefined;

  constructor(around: Around, context: RequestContext, behind: Behind) {
    super();
    this.#around = around;
    this.#context = context;
    this.#behind = behind;
  }

  begin(listener: LaterListener<void>): void {
    this.#listener = listener;
    try {
      for (const layer of this.#around.layers) {
        this.#entered += 1;
        if (layer.enter(this.#context) !== 'answered') continue;
        this.done();
        return;
      }
      listenTo(this.#behind(this.#context), this);
    } catch (error) {
      this.failed(error);
    }
  }

  done(): void {
    try {
      this.#leave();
    } catch (error) {
      this.#listener?.failed(error);
      return;
    }
    this.#listener?.done();
  }

  failed(error: unknown): void {
    try {
      this.#around.onError(this.#context, error);
    } catch (worse) {
      this.#leave();
      this.#listener?.failed(worse);
      return;
    }
    this.done();
  }

  #leave(): void {
    const { layers } = this.#around;
    while (this.#entered > 0) {
      this.#entered -= 1;
      layers[this.#entered]?.leave?.(this.#context);
    }
  }
}

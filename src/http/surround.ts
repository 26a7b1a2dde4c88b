import type { Layer, Next, RequestContext } from './request-state.ts';

/** Runs `last`, the router or a route, within the layers. */
export type Surround = (context: RequestContext, last: Next) => Promise<void>;

/**
 * Enters the layers one after the other, runs what stands behind them, and leaves the entered ones in the opposite order. One function for all of them: a
 * request that waits for minutes keeps one frame and not one for each. `onError` answers for whatever is thrown.
 */
export function surround(
  layers: readonly Layer[],
  onError: (context: RequestContext, error: unknown) => void,
): Surround {
  return async (context, last) => {
    let entered = 0;
    try {
      for (const layer of layers) {
        entered += 1;
        if (layer.enter(context) === 'answered') return;
      }
      await last();
    } catch (error) {
      onError(context, error);
    } finally {
      while (entered > 0) {
        entered -= 1;
        layers[entered]?.leave?.(context);
      }
    }
  };
}

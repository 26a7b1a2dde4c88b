import type { Clock } from '../../base/clock.ts';
import { serverUnavailable } from '../../matrix/errors.ts';
import type { HttpLimits } from '../limits.ts';
import type { Middleware } from '../request-state.ts';

/** The requests that run: gives each its signal, counts them, and lets the stop wait for them. */
export interface Running {
  readonly middleware: Middleware;
  readonly count: number;
  /**
   * Resolves when no request runs. For the first half of `stopTimeoutMs` they run on; then their signals are aborted; at
   * its end the wait is over whatever runs.
   */
  stop(): Promise<void>;
}

export function createRunning(deps: { clock: Clock; limits: HttpLimits }): Running {
  const controllers = new Set<AbortController>();
  let stopping = false;
  let onEmpty: (() => void) | undefined;

  const middleware: Middleware = async (context, next) => {
    const controller = new AbortController();
    context.state.signal = controller.signal;
    context.state.abort = () => controller.abort();
    if (stopping) context.set('Connection', 'close');
    if (controllers.size >= deps.limits.concurrentMax) throw serverUnavailable('Too many requests are running');
    const onClose = (): void => {
      if (!context.res.writableFinished) controller.abort();
    };
    controllers.add(controller);
    context.res.once('close', onClose);
    try {
      await next();
    } finally {
      controllers.delete(controller);
      if (stopping) context.set('Connection', 'close');
      if (controllers.size === 0) onEmpty?.();
    }
  };

  const emptyWithin = (timeoutMs: number): Promise<void> =>
    new Promise((resolve) => {
      if (controllers.size === 0) return resolve();
      const timer = deps.clock.setTimer(timeoutMs, resolve);
      onEmpty = () => {
        timer.clear();
        resolve();
      };
    });

  return {
    middleware,
    get count() {
      return controllers.size;
    },
    async stop() {
      stopping = true;
      await emptyWithin(deps.limits.stopTimeoutMs / 2);
      for (const controller of controllers) controller.abort();
      await emptyWithin(deps.limits.stopTimeoutMs / 2);
    },
  };
}

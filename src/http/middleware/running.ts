import type { Clock } from '../../base/clock.ts';
import { Ending } from '../../base/tasks/ending.ts';
import { serverUnavailable } from '../../matrix/errors.ts';
import type { HttpLimits } from '../limits.ts';
import type { Layer } from '../request-state.ts';

/** The requests that run: gives each its ending, counts them, and lets the stop wait for them. */
export interface Running {
  readonly layer: Layer;
  readonly count: number;
  /**
   * Resolves when no request runs. For the first half of `stopTimeoutMs` they run on; then they are aborted; at
   * its end the wait is over whatever runs.
   */
  stop(): Promise<void>;
}

export function createRunning(deps: { clock: Clock; limits: HttpLimits }): Running {
  const endings = new Set<Ending>();
  let stopping = false;
  let onEmpty: (() => void) | undefined;

  const layer: Layer = {
    enter({ state, res }) {
      const ending = new Ending();
      state.ending = ending;
      if (endings.size >= deps.limits.concurrentMax) throw serverUnavailable('Too many requests are running');
      endings.add(ending);
      res.on('close', () => {
        if (!res.writableFinished) ending.abort();
      });
      return undefined;
    },
    leave(context) {
      endings.delete(context.state.ending);
      if (stopping) context.set('Connection', 'close');
      if (endings.size === 0) onEmpty?.();
    },
  };

  const emptyWithin = (timeoutMs: number): Promise<void> =>
    new Promise((resolve) => {
      if (endings.size === 0) return resolve();
      const timer = deps.clock.setTimer(timeoutMs, resolve);
      onEmpty = () => {
        timer.clear();
        resolve();
      };
    });

  return {
    layer,
    get count() {
      return endings.size;
    },
    async stop() {
      stopping = true;
      await emptyWithin(deps.limits.stopTimeoutMs / 2);
      for (const ending of endings) ending.abort();
      await emptyWithin(deps.limits.stopTimeoutMs / 2);
    },
  };
}

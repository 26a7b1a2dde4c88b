import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import type { Layer } from '../request-state.ts';

/**
 * Names each request, in its log lines and in the `X-Request-Id` of its answer. An id that the caller sends is not
 * taken over: it could forge log lines. The query is never logged, since tokens may stand in it.
 */
export function requestId(deps: { log: Log; random: Random; clock: Clock }): Layer {
  return {
    enter(context) {
      const id = deps.random.token(12);
      context.state.requestId = id;
      context.state.startedMs = deps.clock.monotonic();
      context.set('X-Request-Id', id);
      return undefined;
    },
    leave({ state, method, path, status }) {
      const tookMs = Math.round(deps.clock.monotonic() - state.startedMs);
      deps.log.debug({ request: state.requestId, method, path, status, tookMs }, 'answered');
    },
  };
}

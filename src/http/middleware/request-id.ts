import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import type { Layer } from '../request-state.ts';

const idLength = 12;
/** Letter by letter, an id of its own for each would cost more than its two places in the answer and the log. */
const idsAtOnce = 64;

/**
 * Names each request, in its log lines and in the `X-Request-Id` of its answer. An id that the caller sends is not
 * taken over: it could forge log lines. The query is never logged, since tokens may stand in it.
 */
export function requestId(deps: { log: Log; random: Random; clock: Clock }): Layer {
  let ids = '';
  let at = 0;
  const nextId = (): string => {
    if (at === ids.length) {
      ids = deps.random.token(idLength * idsAtOnce);
      at = 0;
    }
    at += idLength;
    return ids.slice(at - idLength, at);
  };
  return {
    enter(context) {
      const id = nextId();
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

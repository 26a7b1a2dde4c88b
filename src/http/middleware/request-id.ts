import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import type { Middleware } from '../request-state.ts';

/**
 * Names each request, in its log lines and in the `X-Request-Id` of its answer. An id that the caller sends is not
 * taken over: it could forge log lines. The query is never logged, since tokens may stand in it.
 */
export function requestId(deps: { log: Log; random: Random; clock: Clock }): Middleware {
  return async (context, next) => {
    const startedMs = deps.clock.monotonic();
    const id = deps.random.token(12);
    context.state.requestId = id;
    context.set('X-Request-Id', id);
    await next();
    deps.log.debug(
      {
        request: id,
        method: context.method,
        path: context.path,
        status: context.status,
        tookMs: Math.round(deps.clock.monotonic() - startedMs),
      },
      'answered',
    );
  };
}

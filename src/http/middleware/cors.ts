import type { Middleware } from '../request-state.ts';

/**
 * Client-server API, "Web browser clients": every answer, errors included, carries these headers, and OPTIONS is
 * answered without asking who calls or whether the path exists.
 */
export function cors(): Middleware {
  return async (context, next) => {
    context.set('Access-Control-Allow-Origin', '*');
    context.set('Access-Control-Allow-Methods', 'GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS');
    context.set('Access-Control-Allow-Headers', 'X-Requested-With, Content-Type, Authorization');
    context.set('Access-Control-Expose-Headers', 'X-Request-Id');
    if (context.method === 'OPTIONS') {
      context.set('Access-Control-Max-Age', '86400');
      context.status = 204;
      return;
    }
    await next();
  };
}

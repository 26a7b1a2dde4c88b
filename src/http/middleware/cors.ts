import type { Layer } from '../request-state.ts';

/**
 * Client-server API, "Web browser clients": every answer, errors included, carries these headers, and OPTIONS is
 * answered without asking who calls or whether the path exists. A page may read how long to wait after M_LIMIT_EXCEEDED.
 */
export function cors(): Layer {
  return {
    enter(context) {
      context.set(headers);
      if (context.method !== 'OPTIONS') return undefined;
      context.set('Access-Control-Max-Age', '86400');
      context.status = 204;
      return 'answered';
    },
  };
}

const headers = {
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Allow-Methods': 'GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS',
  'Access-Control-Allow-Headers': 'X-Requested-With, Content-Type, Authorization',
  'Access-Control-Expose-Headers': 'X-Request-Id, Retry-After',
};

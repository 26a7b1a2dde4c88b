import { notFound } from '../../matrix/errors.ts';
import { openRoute, type Route } from '../route.ts';

/** Client-server API, "Well-known URI". `baseUrl`: where clients reach the server; null: not configured, 404. */
export function wellKnownClientRoutes(deps: { baseUrl: string | null }): Route[] {
  return [
    openRoute({
      method: 'GET',
      path: '/.well-known/matrix/client',
      handle: async () => {
        if (deps.baseUrl === null) throw notFound('No address for clients is configured');
        return wellKnownOf(deps.baseUrl);
      },
    }),
  ];
}

/** The discovery document, which a login repeats. */
export function wellKnownOf(baseUrl: string): Record<string, unknown> {
  return { 'm.homeserver': { base_url: baseUrl.replace(/\/+$/, '') } };
}

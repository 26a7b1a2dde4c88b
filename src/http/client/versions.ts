import { openRoute, type Route } from '../route.ts';

/**
 * The versions whose endpoints clients may rely on here. A later one is listed once what clients conclude from it holds: from
 * v1.3 on relations, from v1.4 on threads, from v1.11 on media that needs a token.
 */
const versions = ['r0.6.1', 'v1.1', 'v1.2'] as const;

/** Client-server API, "Specification Versions". `unstableFeatures`: feature flag → whether it holds. */
export function versionsRoutes(deps: { unstableFeatures: Readonly<Record<string, boolean>> }): Route[] {
  return [
    openRoute({
      method: 'GET',
      path: '/_matrix/client/versions',
      handle: async () => ({ versions, unstable_features: deps.unstableFeatures }),
    }),
  ];
}

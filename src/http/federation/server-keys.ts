import { openRoute, Reply, type Route } from '../route.ts';

export interface ServerKeyRoutesDeps {
  /** Our signed keys as canonical JSON: verifiers hash the very bytes they got. */
  readonly signedKeys: () => string;
  readonly version: string;
}

/** Server-server API, "Publishing Keys" and "Server implementation". */
export function serverKeyRoutes(deps: ServerKeyRoutesDeps): Route[] {
  const answerKeys = async (): Promise<Reply> => new Reply(200, deps.signedKeys());
  return [
    openRoute({ method: 'GET', path: '/_matrix/key/v2/server', handle: answerKeys }),
    // With a key id: deprecated, still asked for; the id is ignored as the specification allows.
    openRoute({ method: 'GET', path: '/_matrix/key/v2/server/:keyId', handle: answerKeys }),
    openRoute({
      method: 'GET',
      path: '/_matrix/federation/v1/version',
      handle: async () => ({ server: { name: 'Lantern', version: deps.version } }),
    }),
  ];
}

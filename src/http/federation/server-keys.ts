import { z } from 'zod';
import type { KeyNotary, WantedKey } from '../../federation-in/notary.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import { openRoute, Reply, type Route } from '../route.ts';
import { integer, optional, queryInteger, serverName } from '../shapes.ts';

export interface ServerKeyRoutesDeps {
  /** Our signed keys as canonical JSON: verifiers hash the very bytes they got. */
  readonly signedKeys: () => string;
  readonly notary: KeyNotary;
  readonly version: string;
}

const queriedServersMax = 1_000;
const queryBytesMax = 512 * 1024;

const keyCriteria = z.record(z.string(), z.object({ minimum_valid_until_ts: optional(integer) }));
const keyQuery = z.object({
  server_keys: z
    .record(serverName, keyCriteria)
    .refine((servers) => Object.keys(servers).length <= queriedServersMax, `names over ${queriedServersMax} servers`),
});

/** Server-server API, "Publishing Keys", "Querying Keys Through Another Server" and "Server implementation". */
export function serverKeyRoutes(deps: ServerKeyRoutesDeps): Route[] {
  const answerKeys = async (): Promise<Reply> => new Reply(200, deps.signedKeys());
  return [
    openRoute({ method: 'GET', path: '/_matrix/key/v2/server', handle: answerKeys }),
    // With a key id: deprecated, still asked for; the id is ignored as the specification allows.
    openRoute({ method: 'GET', path: '/_matrix/key/v2/server/:keyId', handle: answerKeys }),
    openRoute({
      method: 'POST',
      path: '/_matrix/key/v2/query',
      body: keyQuery,
      bodyBytesMax: queryBytesMax,
      handle: async ({ body }) => ({ server_keys: await deps.notary.query(parseQuery(body.server_keys)) }),
    }),
    openRoute({
      method: 'GET',
      path: '/_matrix/key/v2/query/:serverName',
      params: z.object({ serverName }),
      query: z.object({ minimum_valid_until_ts: queryInteger(0, Number.MAX_SAFE_INTEGER).optional() }),
      handle: async ({ params, query }) => {
        const wanted = [{ untilMs: query.minimum_valid_until_ts }];
        return { server_keys: await deps.notary.query(new Map([[params.serverName, wanted]])) };
      },
    }),
    openRoute({
      method: 'GET',
      path: '/_matrix/federation/v1/version',
      handle: async () => ({ server: { name: 'Lantern', version: deps.version } }),
    }),
  ];
}

/** "If no key IDs are given to be queried, the notary server should query for all keys." */
function parseQuery(servers: z.infer<typeof keyQuery>['server_keys']): Map<ServerName, WantedKey[]> {
  const wanted = new Map<ServerName, WantedKey[]>();
  for (const [server, keys] of Object.entries(servers)) {
    const named = Object.entries(keys).map(([keyId, criteria]) => ({
      keyId,
      untilMs: criteria.minimum_valid_until_ts,
    }));
    wanted.set(server as ServerName, named.length > 0 ? named : [{}]); // checked by the shape
  }
  return wanted;
}

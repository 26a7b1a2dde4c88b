import type { Clock } from '../base/clock.ts';
import { unauthorized } from '../matrix/errors.ts';
import type { JsonObject } from '../matrix/pdu.ts';
import type { ServerName } from '../matrix/server-name.ts';
import { parseAuthorization, verifyRequest } from '../signing/request-auth.ts';

export interface AuthenticateDeps {
  readonly serverName: ServerName;
  /** Unpadded base64 of the key of another server, valid now; undefined when it cannot be had. */
  readonly findKey: (server: ServerName, keyId: string, validAtMs: number) => Promise<string | undefined>;
  /** A server proved that it is there. */
  readonly onHeard: (server: ServerName) => void;
  readonly clock: Clock;
}

export interface IncomingRequest {
  readonly method: string;
  /** Path and query exactly as they were sent. */
  readonly uri: string;
  /** Every `Authorization` header: there may be one for each key. */
  readonly authorization: readonly string[];
  readonly content: JsonObject | undefined;
  /** The text that `content` was parsed from; empty where there is none. */
  readonly contentText: string;
}

/** Headers that are looked at; a server with more keys than this signs with one of the first. */
const signaturesMax = 4;

/**
 * The server that signed this request (server-server API, "Request Authentication"): origin as the header says, no other destination
 * there than us, signature valid over method, URI, that origin, our name and the body. Throws 401 M_UNAUTHORIZED.
 */
export async function authenticateServer(deps: AuthenticateDeps, request: IncomingRequest): Promise<ServerName> {
  for (const header of request.authorization.slice(0, signaturesMax)) {
    const auth = parseAuthorization(header);
    if (!auth || auth.origin === deps.serverName) continue;
    if (auth.destination !== undefined && auth.destination !== deps.serverName)
      throw unauthorized(`This request is for ${auth.destination}, not for ${deps.serverName}`);
    const key = await deps.findKey(auth.origin, auth.keyId, deps.clock.now());
    if (key === undefined) continue;
    const { method, uri, content, contentText } = request;
    const signed = { method, uri, origin: auth.origin, destination: deps.serverName, content, contentText };
    if (!(await verifyRequest(signed, auth, key))) continue;
    deps.onHeard(auth.origin);
    return auth.origin;
  }
  throw unauthorized('No valid X-Matrix signature of a server that could be verified');
}

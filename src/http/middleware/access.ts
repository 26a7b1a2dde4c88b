import type { IncomingMessage } from 'node:http';
import type { Acting } from '../../appservices/acting.ts';
import type { Registration } from '../../appservices/registration.ts';
import { invalidParam, missingToken, unauthorized, unknownToken } from '../../matrix/errors.ts';
import type { JsonObject } from '../../matrix/pdu.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import type { RequestContext } from '../request-state.ts';
import type { Requester } from '../route.ts';

/**
 * Whose access token this is; undefined when nobody's. Throws a MatrixError for a refusal of its own. No promise where it is known at once.
 */
export type Authenticate = (token: string) => Requester | undefined | Promise<Requester | undefined>;

/** Who may call: users' devices and application services. */
export interface Access {
  readonly authenticate: Authenticate;
  readonly services: Acting;
}

/** What an X-Matrix signature covers (server-server API, "Request Authentication"). */
export interface SignedRequest {
  readonly method: string;
  /** Path and query exactly as they were sent. */
  readonly uri: string;
  /** Every `Authorization` header, in order; there may be one for each key. At least one. */
  readonly authorization: readonly string[];
  /** The parsed body; undefined when the request had none. */
  readonly content: JsonObject | undefined;
  /** What `content` was parsed from; empty where there is none. */
  readonly contentText: string;
  readonly signal: AbortSignal;
}

/** The server that signed the request. Throws a MatrixError (401 M_UNAUTHORIZED, 403 M_FORBIDDEN) when none validly did. */
export type VerifyServer = (request: SignedRequest) => Promise<ServerName>;

/** Throws M_MISSING_TOKEN or M_UNKNOWN_TOKEN. No promise where the token is known at once. */
export function authenticateUser(access: Access, context: RequestContext): Requester | Promise<Requester> {
  const token = getToken(context);
  const service = access.services.findByToken(token);
  if (service !== undefined) return access.services.actAs(service, identityOf(context));
  const requester = access.authenticate(token);
  return requester instanceof Promise ? requester.then(getRequester) : getRequester(requester);
}

/** For what a service does as itself. Throws M_MISSING_TOKEN, and M_UNKNOWN_TOKEN for a user's token too. */
export function authenticateService({ services }: Access, context: RequestContext): Registration {
  const service = services.findByToken(getToken(context));
  if (service === undefined) throw unknownToken('This is not the token of an application service');
  return service;
}

/** The service whose token the request shows, if one's. */
export function findService({ services }: Access, context: RequestContext): Registration | undefined {
  const token = findToken(context);
  return token === undefined ? undefined : services.findByToken(token);
}

function getToken(context: RequestContext): string {
  const token = findToken(context);
  if (token === undefined || token === '') throw missingToken('An access token is required');
  return token;
}

/** Application service API, "Identity assertion"; the device also by the name of before (MSC3202). */
function identityOf({ query }: RequestContext): { userId: string | undefined; deviceId: string | undefined } {
  const one = (name: string): string | undefined => {
    const value = query[name];
    if (Array.isArray(value)) throw invalidParam(`'${name}': is given more than once`);
    return value;
  };
  return { userId: one('user_id'), deviceId: one('device_id') ?? one('org.matrix.msc3202.device_id') };
}

function getRequester(requester: Requester | undefined): Requester {
  if (requester === undefined) throw unknownToken('The access token is not known');
  return requester;
}

/** Client-server API, "Using access tokens": the header, or the older query parameter. */
function findToken(context: RequestContext): string | undefined {
  const header = context.req.headers.authorization;
  if (header !== undefined) return /^Bearer +(\S+) *$/i.exec(header)?.[1];
  const query = context.query.access_token;
  return typeof query === 'string' ? query : query?.[0];
}

/** The headers that may hold signatures. Refused before the body is read when there are none. */
export function listSignatures(request: IncomingMessage): readonly string[] {
  const authorization = request.headersDistinct.authorization ?? [];
  if (authorization.length === 0) throw unauthorized('The request is not signed');
  return authorization;
}

import { breathe } from '../base/breathe.ts';
import type { Clock } from '../base/clock.ts';
import { addressGroup } from '../base/network/address-group.ts';
import { type Later, promiseOf } from '../base/tasks/later.ts';
import type { JsonObject } from '../matrix/pdu.ts';
import { CheckedRequest, UserRequest } from './checked-request.ts';
import type { HttpLimits } from './limits.ts';
import {
  type Access,
  authenticateService,
  authenticateUser,
  findService,
  listSignatures,
  type VerifyServer,
} from './middleware/access.ts';
import type { CallerLimit } from './middleware/caller-limit.ts';
import { parseBody } from './middleware/json-body.ts';
import { parseServerBody } from './middleware/large-body.ts';
import { readBody } from './middleware/read-body.ts';
import type { RateLimits } from './rate-limits.ts';
import type { RequestContext } from './request-state.ts';
import { respond, send } from './respond.ts';
import {
  ByteReply,
  type DeviceRequester,
  hasDevice,
  isLimited,
  type OpenRoute,
  type Requester,
  type Route,
  type ServerRoute,
  type UserRoute,
} from './route.ts';
import { type Caller, type SignOutWatches, WatchedCall } from './until-signed-out.ts';

export interface RunRouteDeps {
  readonly access: Access;
  readonly verifyServer: VerifyServer;
  /** Told of each call of a route that counts as activity, when it is about to run. */
  readonly onActivity: (requester: DeviceRequester) => void;
  /** Told of every authenticated request; must be cheap. */
  readonly onSeen: (requester: DeviceRequester, ip: string) => void;
  readonly signOuts: SignOutWatches;
  readonly callerLimit: CallerLimit;
  readonly rateLimits: RateLimits;
  readonly limits: HttpLimits;
  readonly clock: Clock;
}

/** Runs one route for one request whose path parameters are decoded: who calls, what does it say, handle, answer. Throws or rejects with what refuses it. */
export function runRoute(
  deps: RunRouteDeps,
  route: Route,
  context: RequestContext,
  pathParams: Readonly<Record<string, string>>,
): Promise<void> | Later<void> {
  switch (route.access) {
    case 'open':
      return respondWith(deps, context, runOpen(deps, route, context, pathParams));
    case 'user':
      return runUser(deps, route, context, pathParams);
    case 'server':
      return respondWith(deps, context, runServer(deps, route, context, pathParams));
  }
}

type PathParams = Readonly<Record<string, string>>;

async function runOpen(
  deps: RunRouteDeps,
  route: OpenRoute,
  context: RequestContext,
  pathParams: PathParams,
): Promise<unknown> {
  // A service makes and signs in thousands of users from one address; it is trusted to.
  if (route.counts !== undefined && findService(deps.access, context) === undefined) {
    await deps.rateLimits.count(route.counts, addressGroup(context.ip));
  }
  const body = await readJson(deps, route, context, deps.limits.openBodyBytesMax);
  const caller = {
    authenticate: async () => authenticateUser(deps.access, context),
    authenticateService: () => authenticateService(deps.access, context),
  };
  const result = await route.handle(
    Object.assign(new CheckedRequest(route, context, { pathParams, body: body?.value }), caller),
  );
  if (!(result instanceof ByteReply)) return result;
  // While bytes are sent to somebody who is not signed in, they hold a place like users do.
  const address = addressGroup(context.ip);
  deps.callerLimit.enter(address);
  try {
    return await send(deps, context, result);
  } finally {
    deps.callerLimit.leave(address);
  }
}

/** No frame of its own where the token is known and nothing is counted: a request that waits for minutes keeps every one that it passed. */
function runUser(
  deps: RunRouteDeps,
  route: UserRoute,
  context: RequestContext,
  pathParams: PathParams,
): Promise<void> | Later<void> {
  const known = authenticateUser(deps.access, context);
  if (known instanceof Promise || route.counts !== undefined || route.checkCaller !== undefined)
    return runWhenKnown(deps, route, context, { known, pathParams });
  if (isPerson(known)) deps.onSeen(known, context.ip);
  const caller = { requester: known, pathParams, isSure: true };
  return route.waits === true
    ? new WatchedCall(deps, route, context, caller)
    : respondWith(deps, context, handleOf(deps, route, context, caller));
}

async function runWhenKnown(
  deps: RunRouteDeps,
  route: UserRoute,
  context: RequestContext,
  { known, pathParams }: { readonly known: Requester | Promise<Requester>; readonly pathParams: PathParams },
): Promise<void> {
  const requester = await known;
  if (isPerson(requester)) deps.onSeen(requester, context.ip);
  if (route.counts !== undefined && isLimited(requester)) await deps.rateLimits.count(route.counts, requester.userId);
  if (route.checkCaller) await route.checkCaller(requester.userId);
  const caller = { requester, pathParams, isSure: false };
  return route.waits === true
    ? new WatchedCall(deps, route, context, caller).promise()
    : respondWith(deps, context, handleOf(deps, route, context, caller));
}

/** What a service does in somebody's name tells nothing of where they are, nor that they are there at all. */
function isPerson(requester: Requester): requester is DeviceRequester {
  return requester.service === undefined && hasDevice(requester);
}

async function handleOf(
  deps: RunRouteDeps,
  route: UserRoute,
  context: RequestContext,
  { requester, pathParams }: Caller,
): Promise<unknown> {
  const limit = isLimited(requester) ? deps.callerLimit : undefined;
  limit?.enter(requester.userId);
  try {
    const body =
      route.body === undefined ? undefined : await readJson(deps, route, context, deps.limits.userBodyBytesMax);
    const request = new UserRequest(route, context, { pathParams, requester, body: body?.value });
    if (route.activity === true && isPerson(requester)) deps.onActivity(requester);
    const result = await promiseOf(route.handle(request));
    return result instanceof ByteReply ? await send(deps, context, result) : result;
  } finally {
    limit?.leave(requester.userId);
  }
}

async function runServer(
  deps: RunRouteDeps,
  route: ServerRoute,
  context: RequestContext,
  pathParams: PathParams,
): Promise<unknown> {
  const authorization = listSignatures(context.req);
  const body = await readJson(deps, route, context, deps.limits.serverBodyBytesMax);
  const origin = await deps.verifyServer({
    method: context.method,
    uri: context.req.url ?? '',
    authorization,
    content: body === undefined || body.text === '' ? undefined : body.value,
    contentText: body?.text ?? '',
    signal: context.state.ending.signal,
  });
  deps.callerLimit.enter(origin);
  try {
    const request = new CheckedRequest(route, context, { pathParams, body: body?.value });
    const result = await route.handle(Object.assign(request, { origin, text: body?.text ?? '' }));
    return result instanceof ByteReply ? await send(deps, context, result) : result;
  } finally {
    deps.callerLimit.leave(origin);
  }
}

/** Undefined for a route that takes no body. */
/** Some milliseconds of parsing. */
const largeBodyBytes = 64 * 1024;

async function readJson(
  deps: RunRouteDeps,
  route: Route,
  context: RequestContext,
  bytesMax: number,
): Promise<{ value: JsonObject; text: string } | undefined> {
  if (route.body === undefined) return undefined;
  const limits = { bytesMax: route.bodyBytesMax ?? bytesMax, timeoutMs: deps.limits.bodyTimeoutMs };
  const bytes = await readBody(context.req, limits, deps.clock);
  // A large body is a turn of its own: those of many callers do not add up, and whatever follows counts from here.
  if (bytes.length > largeBodyBytes) await breathe();
  return route.access === 'server' ? parseServerBody(bytes, route.longLists ?? []) : parseBody(bytes, 'client');
}

async function respondWith(deps: RunRouteDeps, context: RequestContext, result: Promise<unknown>): Promise<void> {
  return respond(deps, context, await result);
}

import { Readable } from 'node:stream';
import { isRateLimited } from '../appservices/acting.ts';
import { breathe } from '../base/breathe.ts';
import type { Clock } from '../base/clock.ts';
import { LongText } from '../base/json/long-text.ts';
import { addressGroup } from '../base/network/address-group.ts';
import { unknownToken } from '../matrix/errors.ts';
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
import { sendBytes } from './middleware/send-bytes.ts';
import type { RateLimits } from './rate-limits.ts';
import type { RequestContext } from './request-state.ts';
import {
  ByteReply,
  type DeviceRequester,
  hasDevice,
  type OpenRoute,
  Reply,
  type Requester,
  type Route,
  type ServerRoute,
  type UserRoute,
  withAnyDevice,
} from './route.ts';
import { type SignOutWatches, WatchedCall } from './until-signed-out.ts';

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
): Promise<void> {
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
function runUser(deps: RunRouteDeps, route: UserRoute, context: RequestContext, pathParams: PathParams): Promise<void> {
  const known = authenticateUser(deps.access, context);
  if (known instanceof Promise || route.counts !== undefined || route.checkCaller !== undefined)
    return runWhenKnown(deps, route, context, { known, pathParams });
  if (isPerson(known)) deps.onSeen(known, context.ip);
  const caller = { requester: known, pathParams, isSure: true };
  return route.waits === true
    ? runUntilSignedOut(deps, route, context, caller)
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
    ? runUntilSignedOut(deps, route, context, caller)
    : respondWith(deps, context, handleOf(deps, route, context, caller));
}

interface Caller {
  readonly requester: Requester;
  readonly pathParams: PathParams;
  /** Nothing was waited for since the token was looked at. */
  readonly isSure: boolean;
}

/** What a service does in somebody's name tells nothing of where they are, nor that they are there at all. */
function isPerson(requester: Requester): requester is DeviceRequester {
  return requester.service === undefined && hasDevice(requester);
}

function isLimited({ service, userId }: Requester): boolean {
  return service === undefined || isRateLimited({ service, userId });
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
    const result = await route.handle(request);
    return result instanceof ByteReply ? await send(deps, context, result) : result;
  } finally {
    limit?.leave(requester.userId);
  }
}

/**
 * Answers with what the route gives, unless the device is signed out meanwhile: then it ends at once and tells nothing more. One frame for all of it, since
 * a request that waits for minutes keeps every one that it passed.
 */
async function runUntilSignedOut(
  deps: RunRouteDeps,
  route: UserRoute,
  context: RequestContext,
  { requester, pathParams, isSure }: Caller,
): Promise<void> {
  const limit = isLimited(requester) ? deps.callerLimit : undefined;
  limit?.enter(requester.userId);
  const watched = new WatchedCall(withAnyDevice(requester), context.state.ending);
  deps.signOuts.watch(watched);
  let result: unknown;
  try {
    // It may have been signed out just before the watch began.
    if (!isSure) await authenticateUser(deps.access, context);
    result = await route.handle(new UserRequest(route, context, { pathParams, requester, body: undefined }));
  } catch (error) {
    if (!watched.isSignedOut) throw error;
  } finally {
    deps.signOuts.unwatch(watched);
    limit?.leave(requester.userId);
  }
  if (watched.isSignedOut) throw unknownToken('The device was signed out');
  return respond(deps, context, result);
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

/** Stands for an answer that is already gone. */
const sent = Symbol('sent');

/** Resolves when all bytes are gone. */
async function send({ clock }: RunRouteDeps, context: RequestContext, reply: ByteReply): Promise<unknown> {
  await sendBytes(context, reply, clock);
  return sent;
}

async function respondWith(deps: RunRouteDeps, context: RequestContext, result: Promise<unknown>): Promise<void> {
  return respond(deps, context, await result);
}

function respond(deps: RunRouteDeps, context: RequestContext, result: unknown): void | Promise<void> {
  if (result === sent) return;
  const reply = result instanceof Reply ? result : new Reply(200, result ?? {});
  if (reply.text instanceof LongText) return sendLong(deps, context, { ...reply, text: reply.text });
  context.status = reply.status;
  context.set('Content-Type', 'application/json');
  context.set(reply.headers);
  context.body = reply.text;
}

/** Chunk by chunk, as the caller takes them. */
function sendLong(
  { clock }: RunRouteDeps,
  context: RequestContext,
  { status, headers, text }: Reply & { readonly text: LongText },
): Promise<void> {
  const all = { 'Content-Type': 'application/json', 'Content-Length': String(text.byteLength), ...headers };
  return sendBytes(context, new ByteReply(status, all, async () => Readable.from(text.chunks)), clock);
}

import type { RequestListener } from 'node:http';
import Koa from 'koa';
import { type Acting, noActing } from '../appservices/acting.ts';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import { createFront } from './front.ts';
import { defaultHttpLimits, type HttpLimits } from './limits.ts';
import type { Authenticate, VerifyServer } from './middleware/access.ts';
import { CallerLimit } from './middleware/caller-limit.ts';
import { cors } from './middleware/cors.ts';
import { errorFunnel } from './middleware/errors.ts';
import { percentEncoding } from './middleware/percent-encoding.ts';
import { requestId } from './middleware/request-id.ts';
import { createRunning } from './middleware/running.ts';
import { noRateLimits, type RateLimits } from './rate-limits.ts';
import type { RequestState } from './request-state.ts';
import type { DeviceRequester, Route } from './route.ts';
import { createRouter } from './router.ts';
import { runRoute } from './run-route.ts';
import { surround } from './surround.ts';
import type { SignOutWatches } from './until-signed-out.ts';

/** Which of the two APIs a listener offers. */
export type ListenerKind = 'client' | 'federation' | 'both';

export interface HttpAppDeps {
  readonly routes: readonly Route[];
  readonly listener: ListenerKind;
  readonly authenticate: Authenticate;
  /** Application services; none where not given. */
  readonly services?: Acting;
  readonly verifyServer: VerifyServer;
  /** A call that counts as activity of the user's presence is about to run. Must be cheap and must not throw. */
  readonly onActivity?: (requester: DeviceRequester) => void;
  /** Any authenticated request. Must be cheap and must not throw. */
  readonly onSeen?: (requester: DeviceRequester, ip: string) => void;
  /** Who is told when a device is signed out; nobody ever where not given. */
  readonly signOuts?: SignOutWatches;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly limits?: Partial<HttpLimits>;
  /** Without them, callers may call as often as they like. */
  readonly rateLimits?: RateLimits;
  /** The address of the caller is the last one of `X-Forwarded-For`; only behind a proxy that writes it. */
  readonly trustProxy?: boolean;
}

export interface HttpApp {
  /** For `listen`, or for any server of node:http. */
  readonly listener: RequestListener;
  /** Requests that run now. */
  readonly running: number;
  /** Ends the running requests as `HttpLimits.stopTimeoutMs` says. The server must have stopped accepting before. */
  stop(): Promise<void>;
}

/** Everything between a socket and a route's handler. Throws if two routes have the same method and path. */
export function createHttpApp(deps: HttpAppDeps): HttpApp {
  const limits: HttpLimits = { ...defaultHttpLimits, ...deps.limits };
  const { clock, log, random } = deps;
  const running = createRunning({ clock, limits });
  const run = {
    access: { authenticate: deps.authenticate, services: deps.services ?? noActing },
    verifyServer: deps.verifyServer,
    onActivity: deps.onActivity ?? (() => {}),
    onSeen: deps.onSeen ?? (() => {}),
    signOuts: deps.signOuts ?? { watch() {}, unwatch() {} },
    rateLimits: deps.rateLimits ?? noRateLimits,
    callerLimit: new CallerLimit(limits.concurrentPerCallerMax),
    limits,
    clock,
  };
  const routes = routesFor(deps.routes, deps.listener);
  const router = createRouter(routes, (route, context, params) => runRoute(run, route, context, params));

  const layers = [requestId({ clock, log, random }), cors(), running.layer, percentEncoding()];
  const around = surround(layers, errorFunnel({ log }));
  const trustProxy = deps.trustProxy ?? false;
  const app = new Koa<RequestState>({ proxy: trustProxy, maxIpsCount: 1 });
  app.use((context) => around(context, () => router(context, noNext)));
  // Only failures of the connection itself arrive here; everything else went through the funnel.
  app.on('error', (error: unknown) => log.debug({ err: error }, 'a connection failed'));
  const koa = app.callback();
  const front = createFront({
    routes,
    around,
    run: (route, context) => runRoute(run, route, context, {}),
    behind: (request, response) => void koa(request, response),
    trustProxy,
    log,
  });
  return {
    listener: (request, response) => {
      request.url = toOriginForm(request.url ?? '/');
      front(request, response);
    },
    get running() {
      return running.count;
    },
    stop: () => running.stop(),
  };
}

/** Nothing stands behind the router. */
const noNext = async (): Promise<void> => {};

/** RFC 9112, section 3.2.2: a server must accept the absolute form of a target too. What follows is always a path. */
function toOriginForm(target: string): string {
  if (target.startsWith('/')) return target;
  return `/${target.replace(/^https?:\/\/[^/?#]*\/?/i, '')}`;
}

const federationPrefixes = ['/_matrix/federation/', '/_matrix/key/', '/.well-known/matrix/server'];

function routesFor(routes: readonly Route[], kind: ListenerKind): Route[] {
  if (kind === 'both') return [...routes];
  return routes.flatMap((route) => {
    const paths = typeof route.path === 'string' ? [route.path] : route.path;
    const kept = paths.filter((path) => isFederationPath(path) === (kind === 'federation'));
    return kept.length === 0 ? [] : [{ ...route, path: kept }];
  });
}

function isFederationPath(path: string): boolean {
  return federationPrefixes.some((prefix) => path.startsWith(prefix));
}

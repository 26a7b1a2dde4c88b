import { Router } from '@koa/router';
import { assert } from '../base/assert.ts';
import { methodNotAllowed, unrecognized } from '../matrix/errors.ts';
import type { Middleware, Next, RequestContext } from './request-state.ts';
import type { Method, Route } from './route.ts';

type RunRoute = (route: Route, context: RequestContext, params: Readonly<Record<string, string>>) => Promise<void>;

/** As many leading segments as tell the specification's sections apart: `_matrix/client/v3/rooms`. */
const staticSegmentsMax = 4;
const methods: readonly Method[] = ['GET', 'POST', 'PUT', 'DELETE'];

interface Bucket {
  readonly router: Router;
  readonly dispatch: Middleware;
}

/**
 * Finds the route of a request. Matching is linear in a router, so there is a small one for each method and first static
 * segments, behind a map. An unknown path answers 404 M_UNRECOGNIZED, a known one with another method 405.
 */
export function createRouter(routes: readonly Route[], run: RunRoute): Middleware {
  const buckets = buildBuckets(routes, run);
  return async (context) => {
    const keys = bucketKeys(context.path);
    const method = context.method === 'HEAD' ? 'GET' : context.method;
    const candidates = keys.flatMap((key) => buckets.get(`${method} ${key}`) ?? []);
    const step = (index: number): Next => {
      const bucket = candidates[index];
      if (bucket === undefined) return async () => refuse(buckets, keys, context);
      return () => bucket.dispatch(context, step(index + 1));
    };
    await step(0)();
  };
}

function buildBuckets(routes: readonly Route[], run: RunRoute): Map<string, Bucket> {
  const buckets = new Map<string, Bucket>();
  const known = new Set<string>();
  for (const route of routes) {
    const waits = route.access === 'user' && route.waits === true;
    assert(!waits || (route.body === undefined && route.activity !== true), `${route.method} ${route.path} waits`);
    for (const path of typeof route.path === 'string' ? [route.path] : route.path) {
      const identity = `${route.method} ${path.replace(/:[A-Za-z]+/g, ':')}`;
      assert(!known.has(identity), `two routes for ${route.method} ${path}`);
      known.add(identity);
      const { router } = bucketOf(buckets, `${route.method} ${staticPrefix(path)}`);
      router.register(path, [route.method], async (context) => {
        await run(route, context as unknown as RequestContext, context.params as Record<string, string>);
      });
    }
  }
  return buckets;
}

function bucketOf(buckets: Map<string, Bucket>, key: string): Bucket {
  const found = buckets.get(key);
  if (found) return found;
  const router = new Router({ sensitive: true, strict: true });
  // The router's context adds to Koa's what we do not use.
  const bucket: Bucket = { router, dispatch: router.routes() as unknown as Middleware };
  buckets.set(key, bucket);
  return bucket;
}

/** The leading segments of a declared path that hold no parameter. */
function staticPrefix(path: string): string {
  const segments = path.split('/').slice(1);
  const firstParameter = segments.findIndex((segment) => segment.startsWith(':'));
  const staticCount = firstParameter === -1 ? segments.length : firstParameter;
  return segments.slice(0, Math.min(staticCount, staticSegmentsMax)).join('/');
}

/** The prefixes under which a request's path may stand, the longest first. */
function bucketKeys(path: string): string[] {
  const segments = path.split('/', staticSegmentsMax + 1).slice(1);
  return segments.map((_, index) => segments.slice(0, segments.length - index).join('/'));
}

function refuse(buckets: ReadonlyMap<string, Bucket>, keys: readonly string[], context: RequestContext): never {
  const allowed = methods.filter((method) =>
    keys.some((key) => buckets.get(`${method} ${key}`)?.router.match(context.path, method).route === true),
  );
  if (allowed.length === 0) throw unrecognized('Unrecognized request');
  context.set('Allow', allowed.join(', '));
  throw methodNotAllowed('The path is known, but not with this method');
}

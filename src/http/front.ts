import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { type ParsedUrlQuery, parse as parseQuery } from 'node:querystring';
import type { Log } from '../base/log.ts';
import type { RequestContext, RequestState } from './request-state.ts';
import type { Route } from './route.ts';
import type { Surround } from './surround.ts';

export interface FrontDeps {
  readonly routes: readonly Route[];
  /** The same as around Koa's router. */
  readonly around: Surround;
  readonly run: (route: Route, context: RequestContext) => Promise<void>;
  /** Everything else. */
  readonly behind: RequestListener;
  readonly trustProxy: boolean;
  readonly log: Log;
}

/**
 * What is asked all day by everybody, the long-poll, goes through the same layers and the same route as everything else, but past Koa and its
 * router: their share of such an answer is larger than the answer's. Routes that wait and whose path has no parameters take this way.
 */
export function createFront(deps: FrontDeps): RequestListener {
  const routes = new Map<string, Route>();
  for (const route of deps.routes) {
    if (route.access !== 'user' || route.waits !== true || route.method !== 'GET') continue;
    for (const path of typeof route.path === 'string' ? [route.path] : route.path) {
      if (!path.includes(':')) routes.set(path, route);
    }
  }
  return (request, response) => {
    const url = request.url ?? '/';
    const queryAt = url.indexOf('?');
    const path = queryAt === -1 ? url : url.slice(0, queryAt);
    const route = request.method === 'GET' ? routes.get(path) : undefined;
    if (route === undefined) return deps.behind(request, response);
    const querystring = queryAt === -1 ? '' : url.slice(queryAt + 1);
    const context = new LeanContext({ request, response, path, querystring, trustProxy: deps.trustProxy });
    deps
      .around(context, () => deps.run(route, context))
      .then(
        () => context.end(),
        (err: unknown) => {
          // What a route threw is answered, so this is a failure of the connection itself.
          deps.log.debug({ err }, 'a connection failed');
          response.destroy();
        },
      );
  };
}

class LeanContext implements RequestContext {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly method = 'GET';
  readonly path: string;
  readonly querystring: string;
  readonly ip: string;
  /** Filled by the layers, in the order in which it is read. */
  readonly state = {} as RequestState;
  status = 404;
  body: unknown;
  /** Names and values in turns, as `writeHead` takes them without a look at each key of an object. */
  readonly #headers: string[] = [];
  #query: ParsedUrlQuery | undefined;

  constructor(from: {
    request: IncomingMessage;
    response: ServerResponse;
    path: string;
    querystring: string;
    trustProxy: boolean;
  }) {
    this.req = from.request;
    this.res = from.response;
    this.path = from.path;
    this.querystring = from.querystring;
    this.ip = addressOf(from.request, from.trustProxy);
  }

  get query(): ParsedUrlQuery {
    this.#query ??= parseQuery(this.querystring);
    return this.#query;
  }

  set(name: string | Readonly<Record<string, string>>, value?: string): void {
    if (typeof name !== 'string') for (const one of Object.keys(name)) this.#set(one, name[one] ?? '');
    else if (value !== undefined) this.#set(name, value);
  }

  #set(name: string, value: string): void {
    const headers = this.#headers;
    let at = 0;
    while (at < headers.length && headers[at] !== name) at += 2;
    headers[at] = name;
    headers[at + 1] = value;
  }

  sendHead(): void {
    if (!this.res.destroyed) this.res.writeHead(this.status, this.#headers);
  }

  end(): void {
    const { res } = this;
    if (res.destroyed || res.writableEnded) return;
    const text = typeof this.body === 'string' ? this.body : '';
    const length = Buffer.byteLength(text);
    this.#headers.push('Content-Length', String(length));
    res.writeHead(this.status, this.#headers);
    // As many bytes as characters: all of it is ASCII, which is copied as it is.
    res.end(text, length === text.length ? 'latin1' : 'utf8');
  }
}

/** As Koa's `ip` with `maxIpsCount: 1`. */
function addressOf(request: IncomingMessage, trustProxy: boolean): string {
  const address = request.socket.remoteAddress ?? '';
  if (!trustProxy) return address;
  const forwarded = request.headers['x-forwarded-for'];
  const last = (typeof forwarded === 'string' ? forwarded : forwarded?.at(-1))?.split(',').at(-1)?.trim();
  return last === undefined || last === '' ? address : last;
}

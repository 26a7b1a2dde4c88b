import type { IncomingMessage } from 'node:http';
import type { Ending } from '../base/tasks/ending.ts';
import type { JsonObject } from '../matrix/pdu.ts';
import { checkShape } from './middleware/check-shape.ts';
import { RememberedQuery } from './remembered-query.ts';
import type { RequestContext } from './request-state.ts';
import type { Requester, RequestParts, Route } from './route.ts';

interface Given {
  /** Percent-decoded. */
  readonly pathParams: Readonly<Record<string, string>>;
  /** Undefined for a route that takes none. */
  readonly body: JsonObject | undefined;
}

/** What a handler gets: path, query and body as the route's shapes give them. Throws as `checkShape` does. */
export class CheckedRequest implements RequestParts<unknown, unknown, unknown> {
  readonly params: unknown;
  readonly query: unknown;
  readonly body: unknown;
  readonly #context: RequestContext;

  constructor(route: Route, context: RequestContext, { pathParams, body }: Given) {
    this.params = route.params === undefined ? undefined : checkShape(route.params, pathParams, 'path');
    this.query = queryOf(route, context);
    this.body = route.body === undefined ? undefined : checkShape(route.body, body, 'body');
    this.#context = context;
  }

  get ending(): Ending {
    return this.#context.state.ending;
  }

  get signal(): AbortSignal {
    return this.ending.signal;
  }

  get ip(): string {
    return this.#context.ip;
  }

  get userAgent(): string | undefined {
    return this.#context.req.headers['user-agent'];
  }

  get raw(): IncomingMessage {
    return this.#context.req;
  }
}

export class UserRequest extends CheckedRequest {
  readonly requester: Requester;

  constructor(route: Route, context: RequestContext, given: Given & { readonly requester: Requester }) {
    super(route, context, given);
    this.requester = given.requester;
  }
}

function queryOf({ query }: Route, context: RequestContext): unknown {
  if (query === undefined) return undefined;
  return query instanceof RememberedQuery ? query.read(context) : checkShape(query, context.query, 'query');
}

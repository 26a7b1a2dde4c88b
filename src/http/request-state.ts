import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ParsedUrlQuery } from 'node:querystring';

/** What the middleware knows of a running request. */
export interface RequestState {
  /** Stands as `request` in every log line about it. */
  requestId: string;
  /** Aborted when the caller goes away or is signed out, or the server stops. */
  signal: AbortSignal;
  /** Aborts `signal`. */
  abort(): void;
}

/** What our middleware and routes use of a request: Koa's context, or the lean one of `front`. */
export interface RequestContext {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly method: string;
  /** As it was sent, still percent-encoded. */
  readonly path: string;
  readonly querystring: string;
  readonly query: ParsedUrlQuery;
  /** Address of the caller. */
  readonly ip: string;
  readonly state: RequestState;
  status: number;
  body: unknown;
  set(name: string, value: string): void;
  set(headers: Record<string, string>): void;
}

export type Next = () => Promise<unknown>;
export type Middleware = (context: RequestContext, next: Next) => Promise<void>;

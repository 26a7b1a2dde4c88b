import type { Context } from 'koa';

/** What the middleware knows of a running request. */
export interface RequestState {
  /** Stands as `request` in every log line about it. */
  requestId: string;
  /** Aborted when the caller goes away or is signed out, or the server stops. */
  signal: AbortSignal;
  /** Aborts `signal`. */
  abort(): void;
}

/** Koa's context as our middleware sees it. */
export type RequestContext = Context & { state: RequestState };
export type Next = () => Promise<unknown>;
export type Middleware = (context: RequestContext, next: Next) => Promise<void>;

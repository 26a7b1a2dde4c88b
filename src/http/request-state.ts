import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ParsedUrlQuery } from 'node:querystring';
import type { Ending } from '../base/tasks/ending.ts';

/** What the layers know of a running request. */
export interface RequestState {
  /** Stands as `request` in every log line about it. */
  requestId: string;
  startedMs: number;
  /** Aborted when the caller goes away or is signed out, or the server stops. */
  ending: Ending;
}

/** What our layers and routes use of a request: Koa's context, or the lean one of `front`. */
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
  set(headers: Readonly<Record<string, string>>): void;
  /** Called before the bytes of a body are written to `res`, where status and headers are not on it yet. */
  sendHead?(): void;
}

export type Next = () => Promise<unknown>;
/** As Koa knows it. */
export type Middleware = (context: RequestContext, next: Next) => Promise<void>;

/** One of those things that every request passes before its route, and again when its answer stands. */
export interface Layer {
  /** `answered`: no route runs. What it throws is answered as an error of a route is. */
  enter(context: RequestContext): 'answered' | undefined;
  /** Called once for each `enter`, also for one that threw. */
  leave?(context: RequestContext): void;
}

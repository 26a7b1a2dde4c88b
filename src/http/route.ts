import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import type { ZodType } from 'zod';
import type { Registration } from '../appservices/registration.ts';
import { LongText } from '../base/json/long-text.ts';
import type { EndSignal } from '../base/tasks/ending.ts';
import { missingParam } from '../matrix/errors.ts';
import { type DeviceId, noDevice, type UserId } from '../matrix/ids.ts';
import type { ServerName } from '../matrix/server-name.ts';
import type { LimitName } from './rate-limits.ts';
import type { RememberedQuery } from './remembered-query.ts';

export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

/** A local user's device, as its access token says, or whom an application service acts as. */
export interface Requester {
  readonly userId: UserId;
  /** Null for a service that names none. */
  readonly deviceId: DeviceId | null;
  /** Given where a service acts as the user. */
  readonly service?: Registration;
}

/** A requester with a device. */
export interface DeviceRequester extends Requester {
  readonly deviceId: DeviceId;
}

export function hasDevice(requester: Requester): requester is DeviceRequester {
  return requester.deviceId !== null;
}

/** For what cannot be without a device. Throws M_MISSING_PARAM for a service that names none. */
export function withDevice(requester: Requester): DeviceRequester {
  if (!hasDevice(requester)) throw missingParam("An application service must say with 'device_id' for which device");
  return requester;
}

/** For what is only kept apart by device: a service without one counts as a device of its own. */
export function withAnyDevice(requester: Requester): DeviceRequester {
  return hasDevice(requester) ? requester : { ...requester, deviceId: noDevice };
}

/** An answer other than 200 with a JSON body. `text` is JSON that is already written. */
export class Reply {
  readonly status: number;
  readonly text: string | LongText;
  readonly headers: Readonly<Record<string, string>>;
  constructor(status: number, body: unknown, headers: Record<string, string> = {}) {
    this.status = status;
    this.text = typeof body === 'string' || body instanceof LongText ? body : JSON.stringify(body);
    this.headers = headers;
  }
}

/**
 * An answer of bytes that are sent while they are read. Its caller counts as running until the last of them is gone; one who takes nothing for
 * a minute is left.
 */
export class ByteReply {
  readonly status: number;
  /** With the length and the type. */
  readonly headers: Readonly<Record<string, string>>;
  /** Not called for HEAD. May still throw a refusal. */
  readonly open: () => Promise<Readable>;
  constructor(status: number, headers: Record<string, string>, open: () => Promise<Readable>) {
    this.status = status;
    this.headers = headers;
    this.open = open;
  }
}

interface RouteBase<P, Q, B> {
  readonly method: Method;
  /** Full path with `:name` for parameters; several where the same route stands under several prefixes (`v3`, `r0`). */
  readonly path: string | readonly string[];
  /** Path parameters, percent-decoded. */
  readonly params?: ZodType<P>;
  /** Query parameters: strings, or lists of strings where one is repeated. Unknown ones are ignored. */
  readonly query?: ZodType<Q> | RememberedQuery<Q>;
  /** The JSON body, always an object. Without a shape, no body is read. An empty body counts as `{}`. */
  readonly body?: ZodType<B>;
  /** Where the limit of the route's kind does not fit; more answers 413 M_TOO_LARGE. */
  readonly bodyBytesMax?: number;
  /** How the request is counted. Past the limit it answers 429 M_LIMIT_EXCEEDED, and nothing of it is done. */
  readonly counts?: LimitName;
}

export interface RequestParts<P, Q, B> {
  readonly params: P;
  readonly query: Q;
  readonly body: B;
  /** Aborted when the caller goes away or the server stops; of a route that waits also when the device is signed out. */
  readonly signal: AbortSignal;
  /** The same for who only waits: no AbortSignal is made. */
  readonly ending: EndSignal;
  /** Address of the caller. */
  readonly ip: string;
  readonly userAgent: string | undefined;
  /** For what deals in headers and bytes. Its body is read where the route has no shape for one. */
  readonly raw: IncomingMessage;
}

/** Who calls, for what only some may; both throw as a route for users would. */
export interface Caller {
  authenticate(): Promise<Requester>;
  /** For what a service does as itself. */
  authenticateService(): Registration;
}

/** Anybody may call it. */
export interface OpenRoute<P = unknown, Q = unknown, B = unknown> extends RouteBase<P, Q, B> {
  readonly access: 'open';
  handle(request: RequestParts<P, Q, B> & Caller): Promise<unknown>;
}

/**
 * Needs an access token. `activity`: calling it counts as activity of the user's presence (sending, receipts, typing…). `waits`: it
 * may take minutes, and ends at once when the device is signed out; such a route has no body.
 */
export interface UserRoute<P = unknown, Q = unknown, B = unknown> extends RouteBase<P, Q, B> {
  readonly access: 'user';
  readonly activity?: boolean;
  /** Asked before anything of the request but its token is looked at. Throws for who may not call it, whatever they ask. */
  readonly checkCaller?: (caller: UserId) => Promise<void>;
  readonly waits?: boolean;
  handle(request: RequestParts<P, Q, B> & { readonly requester: Requester }): Promise<unknown>;
}

/** Needs a valid X-Matrix signature. `text` is the raw body, for what JSON.parse cannot tell. */
export interface ServerRoute<P = unknown, Q = unknown, B = unknown> extends RouteBase<P, Q, B> {
  readonly access: 'server';
  /** Lists of the body that may make it long: their elements are read one after the other, with others in between. */
  readonly longLists?: readonly string[];
  handle(request: RequestParts<P, Q, B> & { readonly origin: ServerName; readonly text: string }): Promise<unknown>;
}

export type Route = OpenRoute | UserRoute | ServerRoute;

/** Declares a route; the shapes give the handler its types. What `handle` returns is the 200's JSON body (a string or a LongText is one that is already written), a Reply or a ByteReply. */
export function openRoute<P, Q, B>(route: Omit<OpenRoute<P, Q, B>, 'access'>): Route {
  return { ...route, access: 'open' } as unknown as Route;
}
export function userRoute<P, Q, B>(route: Omit<UserRoute<P, Q, B>, 'access'>): Route {
  return { ...route, access: 'user' } as unknown as Route;
}
export function serverRoute<P, Q, B>(route: Omit<ServerRoute<P, Q, B>, 'access'>): Route {
  return { ...route, access: 'server' } as unknown as Route;
}

/** The same client path under `v3` and, where clients still ask for it, `r0`. */
export function clientPath(path: string, ...versions: string[]): string[] {
  return (versions.length > 0 ? versions : ['v3', 'r0']).map((version) => `/_matrix/client/${version}${path}`);
}

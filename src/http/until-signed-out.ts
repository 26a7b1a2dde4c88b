import type { Clock } from '../base/clock.ts';
import { Later, type LaterListener, listenTo, promiseOf } from '../base/tasks/later.ts';
import { unknownToken } from '../matrix/errors.ts';
import type { DeviceId, UserId } from '../matrix/ids.ts';
import { UserRequest } from './checked-request.ts';
import { type Access, authenticateUser } from './middleware/access.ts';
import type { CallerLimit } from './middleware/caller-limit.ts';
import type { RequestContext } from './request-state.ts';
import { respond } from './respond.ts';
import { type DeviceRequester, isLimited, type Requester, type UserRoute, withAnyDevice } from './route.ts';

/** Tells calls that take long of the end of the device that made them. */
export interface SignOutWatches {
  /** `signedOut` is called once, when the device is signed out. */
  watch(call: WatchedCall): void;
  /** At the end of the call, signed out or not. */
  unwatch(call: WatchedCall): void;
}

export interface WatchedCallDeps {
  readonly access: Access;
  readonly signOuts: SignOutWatches;
  readonly callerLimit: CallerLimit;
  readonly clock: Clock;
}

/** Who calls a route, and with which parameters of its path. */
export interface Caller {
  readonly requester: Requester;
  readonly pathParams: Readonly<Record<string, string>>;
  /** Nothing was waited for since the token was looked at. */
  readonly isSure: boolean;
}

/**
 * One call of a route that waits. It is answered with what the route gives, unless its device is signed out meanwhile: then it ends at once and tells nothing
 * more. One object from its begin to its answer, since there are as many of them as clients.
 */
export class WatchedCall extends Later<void> implements LaterListener<unknown> {
  readonly #deps: WatchedCallDeps;
  readonly #context: RequestContext;
  readonly #device: DeviceRequester;
  readonly #isLimited: boolean;
  #isSignedOut = false;
  #listener: LaterListener<void> | undefined;
  /** Until it is called. */
  #call: { readonly route: UserRoute; readonly caller: Caller } | undefined;

  constructor(deps: WatchedCallDeps, route: UserRoute, context: RequestContext, caller: Caller) {
    super();
    this.#deps = deps;
    this.#context = context;
    this.#device = withAnyDevice(caller.requester);
    this.#isLimited = isLimited(caller.requester);
    this.#call = { route, caller };
  }

  get userId(): UserId {
    return this.#device.userId;
  }

  get deviceId(): DeviceId {
    return this.#device.deviceId;
  }

  begin(listener: LaterListener<void>): void {
    this.#listener = listener;
    const { callerLimit, signOuts } = this.#deps;
    try {
      if (this.#isLimited) callerLimit.enter(this.userId);
    } catch (error) {
      listener.failed(error);
      return;
    }
    signOuts.watch(this);
    try {
      const handled = this.#handle();
      // Before it begins, which may be its end already.
      if (handled instanceof Later) this.#context.forgetHeaders?.();
      listenTo(handled, this);
    } catch (error) {
      this.failed(error);
    }
  }

  signedOut(): void {
    this.#isSignedOut = true;
    this.#context.state.ending.abort();
  }

  done(result: unknown): void {
    this.#end();
    const listener = this.#listener;
    if (listener === undefined) return;
    try {
      if (this.#isSignedOut) throw unknownToken('The device was signed out');
      const responding = respond(this.#deps, this.#context, result);
      if (responding === undefined) listener.done();
      else listenTo(responding, listener);
    } catch (error) {
      listener.failed(error);
    }
  }

  failed(error: unknown): void {
    this.#end();
    this.#listener?.failed(this.#isSignedOut ? unknownToken('The device was signed out') : error);
  }

  #handle(): Promise<unknown> | Later<unknown> {
    const call = this.#call;
    this.#call = undefined;
    if (call === undefined) throw new Error('a call begins once');
    const { route, caller } = call;
    const handle = (): Promise<unknown> | Later<unknown> =>
      route.handle(new UserRequest(route, this.#context, { ...caller, body: undefined }));
    if (caller.isSure) return handle();
    // It may have been signed out just before the watch began.
    const authenticating = async (): Promise<unknown> => authenticateUser(this.#deps.access, this.#context);
    return authenticating().then(() => promiseOf(handle()));
  }

  #end(): void {
    this.#deps.signOuts.unwatch(this);
    if (this.#isLimited) this.#deps.callerLimit.leave(this.userId);
  }
}

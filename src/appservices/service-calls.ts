import { parseJson } from '../base/json/json.ts';
import type { OutgoingHttp, OutgoingResponse } from '../base/network/outgoing-http.ts';
import type { JsonObject } from '../matrix/pdu.ts';
import type { Registration, ServiceUrl } from './registration.ts';

/** A service with a place where it can be asked. */
export type ReachableService = Registration & { readonly url: ServiceUrl };

export function isReachable(service: Registration): service is ReachableService {
  return service.url !== null;
}

export interface ServiceCall {
  readonly method: 'GET' | 'POST' | 'PUT';
  /** Behind `/_matrix/app/v1`, encoded. */
  readonly path: string;
  /** The path of before `/_matrix/app`, where there was one: asked when the service does not know the other. */
  readonly legacyPath?: string;
  readonly body?: JsonObject;
  /** In place of `body`: JSON that is sent as it is. */
  readonly bodyText?: string;
  /** Of each of the two requests at most. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/** Asks a service. Any status is an answer. Throws OutgoingHttpError. */
export type CallService = (service: ReachableService, call: ServiceCall) => Promise<OutgoingResponse>;

const responseBytesMax = 64 * 1024;

/**
 * `http` is one of its own whose guard allows private addresses: the url of a registration is the administrator's word, and services
 * commonly stand on loopback.
 */
export function createServiceCalls({ http }: { http: Pick<OutgoingHttp, 'request'> }): CallService {
  const request = (service: ReachableService, path: string, call: ServiceCall): Promise<OutgoingResponse> => {
    const body = call.bodyText ?? (call.body && JSON.stringify(call.body));
    return http.request({
      target: service.url.target,
      method: call.method,
      path: service.url.basePath + path,
      headers: {
        host: service.url.host,
        authorization: `Bearer ${service.hsToken}`,
        'user-agent': 'Lantern',
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body }),
      timeoutMs: call.timeoutMs,
      responseBytesMax,
      ...(call.signal ? { signal: call.signal } : {}),
    });
  };

  return async (service, call) => {
    const answer = await request(service, `/_matrix/app/v1${call.path}`, call);
    if (call.legacyPath === undefined || !isUnknownRoute(answer)) return answer;
    // Who knows only the older path knows only the older way to show the token too.
    const token = `access_token=${encodeURIComponent(service.hsToken)}`;
    const separator = call.legacyPath.includes('?') ? '&' : '?';
    return request(service, call.legacyPath + separator + token, call);
  };
}

/** What no service says that knows the path: `M_UNRECOGNIZED`, or no Matrix error at all. `M_NOT_FOUND` is an answer. */
function isUnknownRoute({ status, body }: OutgoingResponse): boolean {
  if (status !== 404 && status !== 405 && status !== 501) return false;
  const parsed = parseJson(body);
  const value = parsed.outcome === 'parsed' ? parsed.value : undefined;
  const errcode: unknown = typeof value === 'object' && value !== null ? Reflect.get(value, 'errcode') : undefined;
  return typeof errcode !== 'string' || errcode === 'M_UNRECOGNIZED';
}

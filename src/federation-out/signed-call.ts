import { assert } from '../base/assert.ts';
import type { Clock } from '../base/clock.ts';
import { CanonicalJsonError, canonicalJson } from '../base/json/canonical-json.ts';
import { parseExactJson } from '../base/json/exact-json.ts';
import {
  type OutgoingHttp,
  OutgoingHttpError,
  type OutgoingRequest,
  type OutgoingResponse,
} from '../base/network/outgoing-http.ts';
import { isObject } from '../engine/members.ts';
import type { JsonObject } from '../matrix/pdu.ts';
import type { ServerName } from '../matrix/server-name.ts';
import { buildAuthorization } from '../signing/request-auth.ts';
import type { Signer } from '../signing/sign-json.ts';
import type { DestinationHealth } from './destination-health.ts';
import type { Discovery, ResolvedServer } from './discovery.ts';
import { FederationError } from './requests-contract.ts';

export interface CallDeps {
  /** Who asks. */
  signer: Signer;
  discovery: Discovery;
  http: OutgoingHttp;
  health: Pick<DestinationHealth, 'mayTry' | 'markReachable' | 'markFailed'>;
  clock: Clock;
}

export interface Call {
  server: ServerName;
  method: 'GET' | 'POST' | 'PUT';
  /** Behind `/_matrix/federation`, each part unencoded: `['v1', 'make_join', roomId, userId]`. */
  path: readonly string[];
  query?: readonly (readonly [name: string, value: string])[];
  content?: JsonObject;
  timeoutMs: number;
  responseBytesMax: number;
  /**
   * yes: fails at once while the server is in back-off. no: somebody waits for just this, so it is tried all the same.
   */
  heedBackoff: 'yes' | 'no';
  /** Reads the body of a 200 while it arrives, and gives what is to be the answer's. What it throws is thrown on. */
  readBody?: (chunks: AsyncIterable<Uint8Array>, headers: OutgoingResponse['headers']) => Promise<JsonObject>;
  /** The answer is a list of the status and the object, as the first versions of some endpoints have it. */
  answersInList?: boolean;
  /** Whether only a 200 says that the server is well; else any answer does that does not come from a proxy before it. */
  only200IsWell?: boolean;
}

/** A 200 with a JSON object, read exactly. */
export interface Answer {
  body: JsonObject;
  /** What `body` was parsed from; empty where it was read while it arrived. */
  text: string;
}

export type SendCall = (call: Call) => Promise<Answer>;

/** "bad gateway", "unavailable", "gateway time-out": the server behind did not answer. */
const proxyStatuses = new Set([502, 503, 504]);
/** What a content repository says with such a status about one of its contents. */
const wordsOnContent = new Set<unknown>(['M_NOT_YET_UPLOADED', 'M_TOO_LARGE']);
const errorBytesShown = 200;

/**
 * Signed requests to other servers (server-server API, "Request Authentication"). Marks at the destination's health how it
 * went. Throws FederationError.
 */
export function createSignedCall(deps: CallDeps): SendCall {
  return async (call) => {
    const { signer, health } = deps;
    assert(call.server !== signer.server, 'a federation request to this server itself');
    if (call.heedBackoff === 'yes' && !health.mayTry(call.server)) {
      throw new FederationError('unreachable', `${call.server} did not answer lately and is left alone for a while`);
    }
    const { response, read } = await reach(deps, call);
    const answer = read ?? (response.status === 200 ? parseObject(response, call.answersInList) : undefined);
    if (call.only200IsWell ? !answer : isFromProxy(response)) health.markFailed(call.server);
    else health.markReachable(call.server);
    if (answer) return answer;
    if (response.status === 200) {
      throw new FederationError('bad_answer', `${call.server} answered 200 with no JSON object`, 200);
    }
    throw refusal(call.server, response);
  };
}

interface Reached {
  readonly response: OutgoingResponse;
  /** What `readBody` gave. */
  readonly read: Answer | undefined;
}

async function reach(deps: CallDeps, call: Call): Promise<Reached> {
  let read: Answer | undefined;
  const { readBody } = call;
  const takeBody =
    readBody &&
    (async (chunks: AsyncIterable<Uint8Array>, headers: OutgoingResponse['headers']) => {
      read = { body: await readBody(chunks, headers), text: '' };
    });
  try {
    const response = await sendToTargets(deps, call, takeBody);
    return { response, read };
  } catch (error) {
    if (!(error instanceof OutgoingHttpError)) {
      // Whatever was wrong with the answer, there was one.
      if (takeBody) deps.health.markReachable(call.server);
      throw error;
    }
    // It answers, or we have too much to do: neither is a reason to leave it alone.
    if (error.reason === 'too_large') {
      deps.health.markReachable(call.server);
      throw new FederationError('bad_answer', `${call.server}: ${error.message}`);
    }
    if (error.reason !== 'busy') deps.health.markFailed(call.server);
    throw new FederationError('unreachable', `${call.server}: ${error.message}`);
  }
}

async function sendToTargets(
  deps: CallDeps,
  call: Call,
  takeBody: OutgoingRequest['takeBody'],
): Promise<OutgoingResponse> {
  const endsAtMs = deps.clock.monotonic() + call.timeoutMs;
  const uri = uriOf(call);
  const headers = headersOf(deps.signer, call, uri);
  const body = call.content === undefined ? {} : { body: canonicalJson(call.content) };
  return tryTargets(await deps.discovery.resolve(call.server), (target, resolved) => {
    const timeoutMs = Math.max(1, endsAtMs - deps.clock.monotonic());
    return deps.http.request({
      target: { scheme: 'https', ...target, certificateName: resolved.certificateName },
      method: call.method,
      path: uri,
      headers: { ...headers, host: resolved.hostHeader },
      ...body,
      ...(takeBody ? { takeBody } : {}),
      timeoutMs,
      responseBytesMax: call.responseBytesMax,
    });
  });
}

/** One after the other while no connection comes about; a request that was sent is never sent to the next. */
export async function tryTargets<T>(
  resolved: ResolvedServer,
  attempt: (target: ResolvedServer['targets'][number], resolved: ResolvedServer) => Promise<T>,
): Promise<T> {
  let failure: unknown;
  for (const target of resolved.targets) {
    try {
      return await attempt(target, resolved);
    } catch (error) {
      failure = error;
      if (!(error instanceof OutgoingHttpError) || !isBeforeSending(error)) break;
    }
  }
  throw failure;
}

function isBeforeSending({ reason, cause }: OutgoingHttpError): boolean {
  if (reason === 'no_address' || reason === 'forbidden_address') return true;
  const code: unknown = cause instanceof Error ? Reflect.get(cause, 'code') : undefined;
  return ['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'UND_ERR_CONNECT_TIMEOUT'].includes(String(code));
}

function uriOf({ path, query = [] }: Call): string {
  const parts = path.map(encodeURIComponent).join('/');
  const pairs = query.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`).join('&');
  return `/_matrix/federation/${parts}${pairs === '' ? '' : `?${pairs}`}`;
}

/** Throws FederationError for content that has no canonical form: nothing that could be signed. */
function headersOf(signer: Signer, { server, method, content }: Call, uri: string): Record<string, string> {
  try {
    const request = { method, uri, origin: signer.server, destination: server, content };
    return {
      authorization: buildAuthorization(request, signer),
      accept: 'application/json',
      ...(content === undefined ? {} : { 'content-type': 'application/json' }),
    };
  } catch (error) {
    if (!(error instanceof CanonicalJsonError)) throw error;
    throw new FederationError('refused', `what should go to ${server} cannot be signed: ${error.message}`);
  }
}

function parseObject({ body }: OutgoingResponse, isInList = false): Answer | undefined {
  const parsed = parseExactJson(body);
  if (parsed.outcome !== 'parsed') return undefined;
  const value: unknown = isInList && Array.isArray(parsed.value) ? parsed.value[1] : parsed.value;
  return isObject(value) ? { body: value, text: parsed.text } : undefined;
}

function isFromProxy(response: OutgoingResponse): boolean {
  return proxyStatuses.has(response.status) && !wordsOnContent.has(parseObject(response)?.body.errcode);
}

function refusal(server: ServerName, response: OutgoingResponse): FederationError {
  const body = parseObject(response)?.body;
  const errcode = typeof body?.errcode === 'string' ? ` ${body.errcode}` : '';
  const error = typeof body?.error === 'string' ? `: ${body.error}` : '';
  const message = `${server} answered ${response.status}${`${errcode}${error}`.slice(0, errorBytesShown)}`;
  return new FederationError('refused', message, response.status, body);
}

import { isIP, type LookupFunction } from 'node:net';
import * as tls from 'node:tls';
import { LRUCache } from 'lru-cache';
import type { Dispatcher, Pool } from 'undici';
import type { Clock } from '../clock.ts';
import { createAddressGuard } from './address-guard.ts';
import type { Dns } from './dns.ts';

export type OutgoingHttpFailure = 'forbidden_address' | 'no_address' | 'timeout' | 'too_large' | 'connection' | 'busy';

/** There is no answer. An answer with a status of any kind is no error. */
export class OutgoingHttpError extends Error {
  override name = 'OutgoingHttpError';
  readonly reason: OutgoingHttpFailure;
  constructor(reason: OutgoingHttpFailure, message: string, cause?: unknown) {
    super(message, cause === undefined ? {} : { cause });
    this.reason = reason;
  }
}

export interface OutgoingTarget {
  scheme: 'https' | 'http';
  /** A DNS name, or an IP address without brackets. */
  host: string;
  port: number;
  /** The name that the certificate must be for; undefined: `host`. */
  certificateName?: string;
}

export interface OutgoingRequest {
  target: OutgoingTarget;
  method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Path and query, encoded. */
  path: string;
  /** With `host`. */
  headers: Readonly<Record<string, string>>;
  body?: string;
  /** From the call to the last byte of the answer. */
  timeoutMs: number;
  responseBytesMax: number;
  /**
   * Takes the body of a 200 while it arrives, so that it is never whole in memory, with the headers as an answer has them. What it throws
   * ends the request and is thrown on. The body of any other status may then have 256 KiB.
   */
  takeBody?: (chunks: AsyncIterable<Uint8Array>, headers: OutgoingResponse['headers']) => Promise<void>;
  signal?: AbortSignal;
}

export interface OutgoingResponse {
  status: number;
  /** Names in lower case; of several with one name the first. */
  headers: Readonly<Record<string, string>>;
  /** Empty where `takeBody` took it. */
  body: Buffer;
}

/** Requests to servers we do not know. Redirects are answers like any other. */
export interface OutgoingHttp {
  /** Throws OutgoingHttpError. */
  request(request: OutgoingRequest): Promise<OutgoingResponse>;
  /** Ends what is under way and closes all connections. */
  stop(): Promise<void>;
}

export interface OutgoingHttpClient extends OutgoingHttp {
  /**
   * Loads what a request needs, which takes a tenth of a second and more in one turn of the event loop: for a start, before anybody waits. Else the first
   * request does.
   */
  load(): Promise<void>;
}

export interface OutgoingHttpDeps {
  clock: Clock;
  dns: Dns;
  allowPrivateAddresses: boolean;
  /** Private ranges that are allowed all the same. */
  allowedRanges?: readonly string[];
  /** Certificates in PEM that are trusted beside the system's. */
  extraCaPem?: string;
}

const poolsMax = 1_000;
const connectionsPerPool = 8;
const inFlightPerPoolMax = 64;
const inFlightMax = 2_000;
const connectTimeoutMs = 10_000;
const keepAliveMs = 30_000;
/** Of an answer other than 200, where the body of a 200 would have been taken as it comes. */
const refusalBytesMax = 256 * 1024;

interface Entry {
  pool: Pool;
  inFlight: number;
}

interface Connecting {
  readonly Pool: typeof Pool;
  readonly secureContext: tls.SecureContext;
}

/** The only module that knows undici. At most 64 requests to one place and 2,000 in all are under way; more fail as `busy`. */
export function createOutgoingHttp(deps: OutgoingHttpDeps): OutgoingHttpClient {
  return new Outgoing(deps);
}

class Outgoing implements OutgoingHttpClient {
  readonly #clock: Clock;
  readonly #mayConnect: (address: string) => boolean;
  readonly #lookup: LookupFunction;
  readonly #extraCaPem: string | undefined;
  #connecting: Promise<Connecting> | undefined;
  readonly #stopping = new AbortController();
  #inFlight = 0;
  /** Closing a pool lets what is under way in it end. */
  readonly #pools = new LRUCache<string, Entry>({
    max: poolsMax,
    dispose: ({ pool }) => void pool.close().catch(() => {}),
  });

  constructor(deps: OutgoingHttpDeps) {
    this.#clock = deps.clock;
    this.#mayConnect = createAddressGuard(deps);
    this.#lookup = guardedLookup(deps.dns, this.#mayConnect);
    this.#extraCaPem = deps.extraCaPem;
  }

  async load(): Promise<void> {
    await this.#connect();
  }

  #connect(): Promise<Connecting> {
    this.#connecting ??= import('undici').then((undici) => ({
      Pool: undici.Pool,
      secureContext: tls.createSecureContext(
        this.#extraCaPem === undefined ? {} : { ca: [...systemCertificates(), this.#extraCaPem] },
      ),
    }));
    return this.#connecting;
  }

  async request(request: OutgoingRequest): Promise<OutgoingResponse> {
    const { target } = request;
    // A name is checked by its addresses, in the look-up; a literal is never looked up.
    if (isIP(target.host) !== 0 && !this.#mayConnect(target.host)) {
      throw new OutgoingHttpError('forbidden_address', `${target.host} is not a public address`);
    }
    const entry = this.#entryFor(target, await this.#connect());
    if (entry.inFlight >= inFlightPerPoolMax || this.#inFlight >= inFlightMax) {
      throw new OutgoingHttpError('busy', `too many requests to ${target.host} are under way`);
    }
    entry.inFlight += 1;
    this.#inFlight += 1;
    try {
      return await this.#send(entry.pool, request);
    } finally {
      entry.inFlight -= 1;
      this.#inFlight -= 1;
    }
  }

  async #send(pool: Pool, request: OutgoingRequest): Promise<OutgoingResponse> {
    const timeout = new AbortController();
    const timer = this.#clock.setTimer(request.timeoutMs, () => timeout.abort());
    const signals = [timeout.signal, this.#stopping.signal, ...(request.signal ? [request.signal] : [])];
    try {
      const response = await pool.request({
        method: request.method,
        path: request.path,
        headers: { ...request.headers },
        body: request.body ?? null,
        signal: AbortSignal.any(signals),
        ...serverNameOf(request.target),
      });
      const chunks = limitChunks(response, request);
      const body = await (request.takeBody && response.statusCode === 200
        ? handOver(response, chunks, request.takeBody)
        : collect(chunks));
      return { status: response.statusCode, headers: firstOfEach(response.headers), body };
    } catch (error) {
      if (timeout.signal.aborted) {
        throw new OutgoingHttpError('timeout', `${request.target.host} took longer than ${request.timeoutMs} ms`);
      }
      throw error instanceof TakerError ? error.cause : asOutgoingError(error, request.target);
    } finally {
      timer.clear();
    }
  }

  #entryFor(target: OutgoingTarget, { Pool, secureContext }: Connecting): Entry {
    const key = `${target.scheme}|${target.host}|${target.port}|${target.certificateName ?? ''}`;
    const existing = this.#pools.get(key);
    if (existing) return existing;
    const pool = new Pool(originOf(target), {
      connections: connectionsPerPool,
      pipelining: 1,
      keepAliveTimeout: keepAliveMs,
      // The time limit of each request covers these.
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: { timeout: connectTimeoutMs, lookup: this.#lookup, secureContext },
    });
    const entry: Entry = { pool, inFlight: 0 };
    this.#pools.set(key, entry);
    return entry;
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    const pools = [...this.#pools.values()].map(({ pool }) => pool.destroy());
    await Promise.allSettled(pools);
  }
}

/**
 * Throws no_address for a name that no URL can hold, and for one that URLs read as an address, such as `2130706433` for 127.0.0.1: the
 * connection would go there without a look-up, past the check of addresses.
 */
function originOf({ scheme, host, port }: OutgoingTarget): string {
  const origin = `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`;
  const isAddress = isIP(host) !== 0;
  const readAs = URL.canParse(origin) ? new URL(origin).hostname.replace(/^\[|\]$/g, '') : undefined;
  if (readAs === undefined || (isIP(readAs) !== 0) !== isAddress) {
    throw new OutgoingHttpError('no_address', `${host} is neither a name nor an address`);
  }
  return origin;
}

/** An IP address is never announced to the other side (RFC 6066, section 3); the certificate is checked for it all the same. */
function serverNameOf({ host, certificateName = host }: OutgoingTarget): { servername?: string } {
  return isIP(certificateName) === 0 ? { servername: certificateName } : {};
}

/** Node 20 knows its own list only; later ones can read the machine's too. */
function systemCertificates(): readonly string[] {
  const read: unknown = Reflect.get(tls, 'getCACertificates');
  if (typeof read !== 'function') return tls.rootCertificates;
  return [...new Set<string>([...read('default'), ...read('system')])];
}

function guardedLookup(dns: Dns, mayConnect: (address: string) => boolean): LookupFunction {
  return (host, options, callback) => {
    dns.listAddresses(host).then(
      (found) => {
        const allowed = found.filter(({ address }) => mayConnect(address));
        const [first] = allowed;
        if (!first) {
          const reason = found.length === 0 ? 'no_address' : 'forbidden_address';
          const what = found.length === 0 ? 'has no address' : 'has no public address';
          callback(new OutgoingHttpError(reason, `${host} ${what}`), '', 4);
        } else if (options.all) {
          callback(null, allowed);
        } else {
          callback(null, first.address, first.family);
        }
      },
      (error: unknown) => callback(new OutgoingHttpError('no_address', `${host} cannot be looked up`, error), '', 4),
    );
  };
}

/** Leaving the loop over it before its end destroys the body, and its connection with it. */
async function* limitChunks(response: Dispatcher.ResponseData, request: OutgoingRequest): AsyncGenerator<Buffer> {
  const { target } = request;
  const isKept = request.takeBody !== undefined && response.statusCode !== 200;
  const bytesMax = isKept ? Math.min(request.responseBytesMax, refusalBytesMax) : request.responseBytesMax;
  const announced = Number(response.headers['content-length'] ?? 0);
  let bytes = 0;
  try {
    for await (const chunk of response.body) {
      bytes += chunk.length;
      if (bytes > bytesMax || announced > bytesMax) {
        throw new OutgoingHttpError('too_large', `the answer is larger than ${bytesMax} bytes`);
      }
      yield chunk;
    }
  } catch (error) {
    throw asOutgoingError(error, target);
  }
}

async function collect(chunks: AsyncGenerator<Buffer>): Promise<Buffer> {
  const all: Buffer[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all);
}

/** What whoever takes a body threw, which is no failure of the request. */
class TakerError extends Error {}

async function handOver(
  { body, headers }: Dispatcher.ResponseData,
  chunks: AsyncGenerator<Buffer>,
  takeBody: NonNullable<OutgoingRequest['takeBody']>,
): Promise<Buffer> {
  try {
    await takeBody(chunks, firstOfEach(headers));
  } catch (error) {
    throw error instanceof OutgoingHttpError ? error : new TakerError('the body was not taken', { cause: error });
  } finally {
    // Whoever takes only the beginning does not keep the connection.
    if (!body.readableEnded) body.once('error', () => undefined).destroy();
  }
  return Buffer.alloc(0);
}

function firstOfEach(headers: Dispatcher.ResponseData['headers']): Record<string, string> {
  const first: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    const one = Array.isArray(value) ? value[0] : value;
    if (one !== undefined) first[name.toLowerCase()] = one;
  }
  return first;
}

function asOutgoingError(error: unknown, target: OutgoingTarget): OutgoingHttpError {
  if (error instanceof OutgoingHttpError) return error;
  const parts = error instanceof AggregateError ? error.errors : [error];
  const known = parts.find((part) => part instanceof OutgoingHttpError);
  if (known instanceof OutgoingHttpError) return known;
  const reason = parts.map((part) => (part instanceof Error ? part.message : String(part))).join('; ');
  return new OutgoingHttpError('connection', `${target.host}:${target.port}: ${reason}`, error);
}

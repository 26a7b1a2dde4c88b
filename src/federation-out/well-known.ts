import { LRUCache } from 'lru-cache';
import type { Clock } from '../base/clock.ts';
import { parseJson } from '../base/json/json.ts';
import type { OutgoingHttp, OutgoingResponse, OutgoingTarget } from '../base/network/outgoing-http.ts';
import { isServerName, type ServerName } from '../matrix/server-name.ts';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
/** "use a sensible default when headers are not present. The recommended sensible default is 24 hours." */
const keepDefaultMs = 24 * hourMs;
/** "a maximum cache time for responses: 48 hours is recommended" */
const keepMaxMs = 48 * hourMs;
/** A server that forbids caching is asked this often all the same. */
const keepMinMs = 5 * minuteMs;
/** "Errors are recommended to be cached for up to an hour, and servers are encouraged to exponentially back off" */
const errorKeepFirstMs = 5 * minuteMs;
const errorKeepMaxMs = hourMs;

const timeoutMs = 10_000;
const responseBytesMax = 51_200;
const redirectsMax = 5;
const cacheMax = 10_000;

interface Entry {
  /** Undefined: an error; discovery goes on without. */
  delegated: ServerName | undefined;
  failures: number;
  untilMs: number;
  /** Until when a delegation may still be used although the request fails now. */
  staleUntilMs: number;
}

type Answer = { outcome: 'delegated'; to: ServerName; keepMs: number } | { outcome: 'invalid' } | { outcome: 'failed' };

/** `/.well-known/matrix/server` of other servers, with its caching rules. */
export class WellKnown {
  readonly #http: OutgoingHttp;
  readonly #clock: Clock;
  readonly #cache = new LRUCache<string, Entry>({ max: cacheMax });

  constructor(deps: { http: OutgoingHttp; clock: Clock }) {
    this.#http = deps.http;
    this.#clock = deps.clock;
  }

  /** To whom `hostname` delegates; undefined when there is no valid answer, for whatever reason. */
  async find(hostname: string): Promise<ServerName | undefined> {
    const before = this.#cache.get(hostname);
    if (before && before.untilMs > this.#clock.monotonic()) return before.delegated;
    const answer = await this.#fetch(hostname);
    const now = this.#clock.monotonic();
    const entry = nextEntry(before, answer, now);
    this.#cache.set(hostname, entry);
    return entry.delegated;
  }

  async #fetch(hostname: string): Promise<Answer> {
    let url = parseUrl(`https://${hostname}/.well-known/matrix/server`);
    const endsAt = this.#clock.monotonic() + timeoutMs;
    for (let hop = 0; url !== undefined && hop <= redirectsMax; hop += 1) {
      const remainingMs = endsAt - this.#clock.monotonic();
      const response = remainingMs > 0 ? await this.#get(url, remainingMs) : undefined;
      if (!response || response.status >= 500) return { outcome: 'failed' };
      const location = response.headers.location;
      if (![301, 302, 303, 307, 308].includes(response.status)) return this.#read(response);
      // "30x redirects should be followed", but never to where the certificate would not be checked.
      url = location === undefined ? undefined : parseUrl(location, url);
    }
    return { outcome: 'invalid' };
  }

  async #get(url: URL, remainingMs: number): Promise<OutgoingResponse | undefined> {
    const target: OutgoingTarget = {
      scheme: 'https',
      host: url.hostname.replace(/^\[|\]$/g, ''),
      port: url.port === '' ? 443 : Number(url.port),
    };
    const headers = { host: url.host, accept: 'application/json' };
    const path = `${url.pathname}${url.search}`;
    try {
      return await this.#http.request({
        target,
        method: 'GET',
        path,
        headers,
        timeoutMs: remainingMs,
        responseBytesMax,
      });
    } catch {
      return undefined;
    }
  }

  #read(response: OutgoingResponse): Answer {
    if (response.status !== 200) return { outcome: 'invalid' };
    const parsed = parseJson(response.body);
    const value = parsed.outcome === 'parsed' ? parsed.value : undefined;
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, 'm.server')) return { outcome: 'invalid' };
    const to: unknown = Reflect.get(value, 'm.server');
    if (!isServerName(to)) return { outcome: 'invalid' };
    return { outcome: 'delegated', to, keepMs: keepMsOf(response.headers, this.#clock.now()) };
  }
}

/** Undefined unless it is a URL that HTTPS serves. Server names such as `1.2.3.4.5` make none. */
function parseUrl(text: string, base?: URL): URL | undefined {
  if (!URL.canParse(text, base?.href)) return undefined;
  const url = new URL(text, base);
  return url.protocol === 'https:' ? url : undefined;
}

function nextEntry(before: Entry | undefined, answer: Answer, now: number): Entry {
  if (answer.outcome === 'delegated') {
    return { delegated: answer.to, failures: 0, untilMs: now + answer.keepMs, staleUntilMs: now + keepMaxMs };
  }
  const failures = (before?.failures ?? 0) + 1;
  const untilMs = now + Math.min(errorKeepFirstMs * 2 ** Math.min(failures - 1, 10), errorKeepMaxMs);
  // A web server that is down for a while says nothing about the delegation.
  const stale = answer.outcome === 'failed' && before !== undefined && before.staleUntilMs > now;
  return {
    delegated: stale ? before.delegated : undefined,
    failures,
    untilMs,
    staleUntilMs: stale ? before.staleUntilMs : 0,
  };
}

/** `Cache-Control` first, then `Expires`, within our bounds. */
function keepMsOf(headers: Readonly<Record<string, string>>, now: number): number {
  const control = headers['cache-control']?.toLowerCase() ?? '';
  if (/\bno-(?:store|cache)\b/.test(control)) return keepMinMs;
  const maxAge = /\bmax-age="?(\d{1,10})/.exec(control)?.[1];
  const expires = headers.expires === undefined ? Number.NaN : Date.parse(headers.expires);
  const asked = maxAge !== undefined ? Number(maxAge) * 1_000 : Number.isNaN(expires) ? keepDefaultMs : expires - now;
  return Math.min(Math.max(asked, keepMinMs), keepMaxMs);
}

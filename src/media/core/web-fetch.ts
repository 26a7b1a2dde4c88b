import type { Clock } from '../../base/clock.ts';
import type { OutgoingHttp, OutgoingTarget } from '../../base/network/outgoing-http.ts';
import type { ContentHeaders } from '../../federation-out/media-requests.ts';

/** A page that cannot be had for a reason that is not the connection's. */
export class WebError extends Error {
  override name = 'WebError';
}

export interface WebPage {
  /** Where it was found, after all redirects. */
  readonly url: URL;
  readonly headers: ContentHeaders;
}

export interface WebWish {
  readonly url: string;
  readonly schemes: readonly ('https:' | 'http:')[];
  /** Of all redirects and the last byte. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  /** Takes the body of a 200 and bounds its size; it may leave it before its end. */
  readonly take: (page: WebPage, chunks: AsyncIterable<Uint8Array>) => Promise<void>;
}

/** Throws WebError, OutgoingHttpError, and what `take` throws. */
export type WebFetch = (wish: WebWish) => Promise<void>;

const redirectsMax = 5;
const urlLengthMax = 4_096;
const redirects: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/** GET of what a stranger named. Each redirect is a new request, with the same checks of its address and of its scheme. */
export function createWebFetch({
  http,
  clock,
  userAgent,
}: {
  http: OutgoingHttp;
  clock: Clock;
  userAgent: string;
}): WebFetch {
  return async ({ url: start, schemes, timeoutMs, signal, take }) => {
    const endsAtMs = clock.monotonic() + timeoutMs;
    let url = parseUrl(start, schemes);
    for (let hop = 0; hop <= redirectsMax; hop += 1) {
      const here = url;
      const response = await http.request({
        target: targetOf(here),
        method: 'GET',
        path: `${here.pathname}${here.search}`,
        headers: { host: here.host, accept: '*/*', 'accept-encoding': 'identity', 'user-agent': userAgent },
        timeoutMs: Math.max(1, endsAtMs - clock.monotonic()),
        responseBytesMax: Number.MAX_SAFE_INTEGER,
        ...(signal ? { signal } : {}),
        takeBody: (chunks, headers) => take({ url: here, headers: contentHeaders(headers) }, chunks),
      });
      if (response.status === 200) return;
      const { location } = response.headers;
      if (!redirects.has(response.status) || location === undefined)
        throw new WebError(`${here.host} answered ${response.status}`);
      url = parseUrl(location, schemes, here);
    }
    throw new WebError(`${start} leads through more than ${redirectsMax} redirects`);
  };
}

/** Throws WebError. */
export function parseUrl(text: string, schemes: readonly string[], base?: URL): URL {
  if (text.length > urlLengthMax || !URL.canParse(text, base?.href)) throw new WebError('not a URL');
  const url = new URL(text, base);
  if (!schemes.includes(url.protocol)) throw new WebError(`not one of ${schemes.join(', ')}`);
  if (url.username !== '' || url.password !== '') throw new WebError('a URL with a password');
  url.hash = '';
  return url;
}

function targetOf(url: URL): OutgoingTarget {
  const scheme = url.protocol === 'https:' ? 'https' : 'http';
  const port = url.port === '' ? (scheme === 'https' ? 443 : 80) : Number(url.port);
  return { scheme, host: url.hostname.replace(/^\[|\]$/g, ''), port };
}

function contentHeaders(headers: Readonly<Record<string, string>>): ContentHeaders {
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') throw new WebError('an encoding that was not asked for');
  const length = headers['content-length'];
  return {
    contentType: headers['content-type'],
    contentDisposition: headers['content-disposition'],
    announcedBytes: length !== undefined && /^\d{1,15}$/.test(length) ? Number(length) : undefined,
  };
}

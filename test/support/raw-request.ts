import http, { type Agent, type IncomingHttpHeaders } from 'node:http';

export type RawBody = string | Uint8Array<ArrayBuffer>;

export interface RawRequest {
  readonly method: string;
  /** Stands on the wire as it stands here. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: RawBody | undefined;
}

export interface RawAnswer {
  readonly status: number;
  readonly text: string;
  readonly headers: IncomingHttpHeaders;
}

/** The answer to a request that no client library would send. */
export function sendRaw(url: string, agent: Agent, request: RawRequest): Promise<RawAnswer> {
  const { hostname, port } = new URL(url);
  const { method, path, body } = request;
  const headers = {
    ...request.headers,
    ...(body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }),
  };
  return new Promise((resolve, reject) => {
    const call = http.request({ agent, hostname, port, method, path, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        resolve({ status: response.statusCode ?? 0, text, headers: response.headers });
      });
    });
    call.on('error', reject);
    call.end(body);
  });
}

/** What is wrong with an answer, whatever was asked; undefined: nothing. */
export function faultOf({ status, text, headers }: RawAnswer): string | undefined {
  if (status >= 500) return 'a failure of the server';
  if (headers['access-control-allow-origin'] !== '*') return 'no Access-Control-Allow-Origin';
  // What is no HTTP at all, or too much of it, is answered before it is known to come from a browser.
  if (status !== 431 && !headers['access-control-allow-headers']?.includes('Authorization'))
    return 'no Access-Control-Allow-Headers';
  if (!headers['content-type']?.startsWith('application/json')) return 'not declared as JSON';
  const body = parse(text);
  if (typeof body !== 'object' || body === null) return 'no JSON object';
  if (status < 400 || 'flows' in body) return undefined;
  const isStandard =
    'errcode' in body && typeof body.errcode === 'string' && 'error' in body && typeof body.error === 'string';
  return isStandard ? undefined : 'no standard error';
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

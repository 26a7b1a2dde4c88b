import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, request as httpsRequest, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { canonicalJson } from '../../src/base/json/canonical-json.ts';
import { parseExactJson } from '../../src/base/json/exact-json.ts';
import type { UserId } from '../../src/matrix/ids.ts';
import type { JsonObject } from '../../src/matrix/pdu.ts';
import type { ServerName } from '../../src/matrix/server-name.ts';
import { signingKeyOfSeed } from '../../src/signing/ed25519.ts';
import { buildAuthorization } from '../../src/signing/request-auth.ts';
import { type Signer, signJson } from '../../src/signing/sign-json.ts';
import { testIdentity } from './server.ts';
import type { Answer } from './user.ts';

/** One request that our server made. */
export interface HostileRequest {
  /** What is asked, as the path names it: `make_join`, `send`, `backfill`, `query/profile`, … */
  readonly what: string;
  /** `v1` or `v2`. */
  readonly version: string;
  /** What stands behind it in the path, percent-decoded. */
  readonly rest: readonly string[];
  readonly query: URLSearchParams;
  // biome-ignore lint/suspicious/noExplicitAny: a test reads whatever our server sent
  readonly body: any;
}

/** Answers with a body (200), or with a status of its own; `text` is sent as it is. Or writes what it likes, as slowly as it likes. */
export type HostileHandler = (request: HostileRequest) => JsonObject | HostileReply | HostileStream;

/** One of our servers, in this process or in one of its own. */
export interface CalledServer {
  readonly name: string;
}

export class HostileReply {
  readonly status: number;
  readonly text: string;
  constructor(status: number, body: JsonObject | string) {
    this.status = status;
    this.text = typeof body === 'string' ? body : JSON.stringify(body);
  }
}

/** Writes the answer itself. */
export class HostileStream {
  readonly write: (response: ServerResponse) => void;
  constructor(write: (response: ServerResponse) => void) {
    this.write = write;
  }
}

export interface HostileCall {
  /** Else the server that is called; `null` leaves it out of the header and the signature. */
  destination?: string | null;
  /** Claimed in the header and the signature. */
  origin?: string;
  /** Signs instead of the server's own key. */
  signer?: Signer;
  /** Instead of the header that would be right. */
  authorization?: string | null;
  /** The body as it goes over the wire; the signature covers what it parses to. */
  text?: string;
  /** Covered by the signature instead of the body. */
  signedContent?: JsonObject;
  query?: string;
}

const dayMs = 86_400_000;
const keysValidForMs = 7 * dayMs;
let seeds = 0;

/**
 * Another server, played by a test: it has a name, a certificate and a key that ours believe, and says whatever the test makes it
 * say. Without a handler it answers 404, and takes every transaction.
 */
export class HostileServer {
  readonly name: ServerName;
  readonly signer: Signer;
  /** A key that it published until a day before it started. */
  readonly retired: Signer;
  /** What our servers asked, in order; keys left out. */
  readonly requests: HostileRequest[] = [];
  readonly #handlers = new Map<string, HostileHandler>();
  readonly #server: Server;
  readonly #authority: string;
  #transactions = 0;

  private constructor(server: Server, authority: string, nowMs: number) {
    this.#server = server;
    this.#authority = authority;
    const { port } = server.address() as AddressInfo;
    this.name = `127.0.0.1:${port}` as ServerName;
    seeds += 1;
    this.signer = { server: this.name, key: signingKeyOfSeed(new Uint8Array(32).fill(100 + seeds), 'hostile') };
    this.retired = { server: this.name, key: signingKeyOfSeed(new Uint8Array(32).fill(200 - seeds), 'retired') };
    const { key } = this.signer;
    const { key: old } = this.retired;
    const keys = {
      server_name: this.name,
      verify_keys: { [key.keyId]: { key: key.publicKey } },
      old_verify_keys: { [old.keyId]: { key: old.publicKey, expired_ts: nowMs - dayMs } },
      valid_until_ts: nowMs + keysValidForMs,
    };
    this.on('keys', () => signJson(keys, this.signer));
    this.on('send', () => ({ pdus: {} }));
    server.on('request', (request, response) => {
      void this.#answer(request).then((answer) => {
        if (answer instanceof HostileStream) answer.write(response);
        else response.writeHead(answer.status, { 'content-type': 'application/json' }).end(answer.text);
      });
    });
  }

  static async start(nowMs: number): Promise<HostileServer> {
    const { authority, certificate } = await testIdentity();
    const server = createServer({ cert: certificate.certificate, key: certificate.key });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    return new HostileServer(server, authority.certificate, nowMs);
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((done) => this.#server.close(done));
  }

  user(localpart: string): UserId {
    return `@${localpart}:${this.name}` as UserId;
  }

  on(what: string, handler: HostileHandler): void {
    this.#handlers.set(what, handler);
  }

  /** What our servers asked of this kind. */
  asked(what: string): HostileRequest[] {
    return this.requests.filter((request) => request.what === what);
  }

  /** The PDUs that our servers sent, in order. */
  receivedPdus(): JsonObject[] {
    return this.asked('send').flatMap(({ body }) => body.pdus ?? []);
  }

  async #answer(request: IncomingMessage): Promise<HostileReply | HostileStream> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const asked = parseRequest(request.url ?? '', Buffer.concat(chunks).toString());
    if (asked.what !== 'keys') this.requests.push(asked);
    const handler = this.#handlers.get(asked.what);
    if (!handler) return new HostileReply(404, { errcode: 'M_NOT_FOUND', error: 'nothing here' });
    const answer = handler(asked);
    return answer instanceof HostileReply || answer instanceof HostileStream ? answer : new HostileReply(200, answer);
  }

  /** A signed request to one of our servers; `path` as it stands behind `/_matrix/federation/`. */
  async call(
    server: CalledServer,
    method: string,
    path: string,
    content?: JsonObject,
    how: HostileCall = {},
  ): Promise<Answer> {
    const uri = `/_matrix/federation/${path}${how.query ?? ''}`;
    const text = how.text ?? (content === undefined ? undefined : canonicalJson(content));
    const header =
      how.authorization === undefined ? this.#authorize(server, { method, uri, text, how }) : how.authorization;
    const headers = header === null ? {} : { authorization: header };
    const { status, body } = await this.raw(server, method, uri, { text, headers });
    return { status, body };
  }

  #authorize(
    server: CalledServer,
    request: { method: string; uri: string; text: string | undefined; how: HostileCall },
  ): string {
    const { method, uri, text, how } = request;
    const signer = how.signer ?? this.signer;
    const origin = (how.origin ?? signer.server) as ServerName;
    const content = how.signedContent ?? (text === undefined ? undefined : exactly(text));
    if (how.destination === null) {
      const signed = { method, uri, origin, destination: server.name, ...(content === undefined ? {} : { content }) };
      const { signatures } = signJson(signed, signer);
      const signature = signatures[signer.server]?.[signer.key.keyId];
      return `X-Matrix origin="${origin}",key="${signer.key.keyId}",sig="${signature}"`;
    }
    const destination = (how.destination ?? server.name) as ServerName;
    return buildAuthorization({ method, uri, origin, destination, content }, signer);
  }

  /** A request as it is given. */
  raw(
    server: CalledServer,
    method: string,
    uri: string,
    { text, headers = {} }: { text?: string | undefined; headers?: Record<string, string> } = {},
  ): Promise<Answer & { text: string }> {
    return new Promise((resolve, reject) => {
      const [host, port] = server.name.split(':');
      const options = {
        host,
        port,
        method,
        path: uri,
        ca: this.#authority,
        headers: { ...headers } as Record<string, string>,
      };
      if (text !== undefined) options.headers['content-type'] = 'application/json';
      const request = httpsRequest(options, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const answer = Buffer.concat(chunks).toString();
          resolve({
            status: response.statusCode ?? 0,
            body: answer === '' ? undefined : JSON.parse(answer),
            text: answer,
          });
        });
      });
      request.on('error', reject);
      request.end(text);
    });
  }

  /** Sends a transaction; what the server said became of it. */
  send(
    server: CalledServer,
    load: { pdus?: readonly unknown[]; edus?: readonly unknown[]; id?: string },
    how: HostileCall = {},
  ): Promise<Answer> {
    this.#transactions += 1;
    const id = load.id ?? `hostile-${this.#transactions}`;
    const body = { origin: this.name, origin_server_ts: 1, pdus: load.pdus ?? [], edus: load.edus ?? [] };
    return this.call(server, 'PUT', `v1/send/${encodeURIComponent(id)}`, body, how);
  }
}

/** Numbers are signed as they are written. */
function exactly(text: string): unknown {
  const parsed = parseExactJson(text);
  return parsed.outcome === 'parsed' ? parsed.value : undefined;
}

function parseRequest(url: string, text: string): HostileRequest {
  const [path = '', query = ''] = url.split('?', 2);
  const parts = path.split('/').slice(2).map(decodeURIComponent);
  const [area, version = '', what = '', ...rest] = parts;
  const named = area === 'key' ? 'keys' : what === 'query' ? `query/${rest[0]}` : what;
  return {
    what: named,
    version,
    rest,
    query: new URLSearchParams(query),
    body: text === '' ? undefined : JSON.parse(text),
  };
}

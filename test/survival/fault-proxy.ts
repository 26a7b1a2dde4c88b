import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import { findFreePort, testIdentity } from '../support/server.ts';
import { pause } from './until.ts';

/** What becomes of one request on its way. */
export type Fault =
  | { readonly fault: 'none' }
  /** The connection ends; the request never arrives. */
  | { readonly fault: 'lost' }
  /** The request arrives, the connection ends before an answer. */
  | { readonly fault: 'answer_lost' }
  /** The request arrives, only the first half of the answer does. */
  | { readonly fault: 'truncated' }
  /** The request arrives this much later, so that others may overtake it. */
  | { readonly fault: 'late'; readonly ms: number }
  /** The request arrives twice at once. */
  | { readonly fault: 'doubled' }
  /** A request of before arrives once more, before this one. */
  | { readonly fault: 'replayed'; readonly which: number }
  /** A gateway says that nobody is there. */
  | { readonly fault: 'gateway' };

/** A request between two servers, as the proxy sees it. */
export interface Passing {
  /** Who sends it, as it says. */
  readonly origin: string;
  readonly method: string;
  readonly url: string;
  readonly atMs: number;
}

interface Whole extends Passing {
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

interface Reply {
  readonly status: number;
  readonly body: Buffer;
}

const replayableMax = 50;

/** Stands before one server, under its name: ends TLS for it and hands on to its plain listener, as well as it is told to. */
export class FaultProxy {
  readonly port: number;
  /** Where requests are handed on to. */
  targetPort = 0;
  /** Decides about each request; as it is at first, everything goes well. */
  decide: (passing: Passing) => Fault = () => ({ fault: 'none' });
  /** Every request that came, whatever became of it. */
  readonly seen: Passing[] = [];
  readonly #server: Server;
  readonly #replayable: Whole[] = [];

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.port = port;
    server.on('request', (request, response) => {
      // Either side may end the connection at any time, a killed server above all: then so does the proxy.
      this.#pass(request, response).catch(() => response.destroy());
    });
  }

  static async start(): Promise<FaultProxy> {
    const { certificate } = await testIdentity();
    const server = createServer({ cert: certificate.certificate, key: certificate.key });
    const port = await findFreePort();
    await new Promise<void>((done) => server.listen(port, '127.0.0.1', done));
    return new FaultProxy(server, port);
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((done) => this.#server.close(done));
  }

  async #pass(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const whole: Whole = {
      origin: /origin="?([^",]+)/.exec(request.headers.authorization ?? '')?.[1] ?? '',
      method: request.method ?? '',
      url: request.url ?? '',
      atMs: Date.now(),
      headers: request.headers,
      body: Buffer.concat(chunks),
    };
    this.seen.push(whole);
    const decision = this.decide(whole);
    this.#replayable.push(whole);
    if (this.#replayable.length > replayableMax) this.#replayable.shift();
    const reply = await this.#carry(whole, decision);
    if (reply === undefined) {
      response.destroy();
      return;
    }
    const { status, body } = reply;
    response.writeHead(status, { 'content-type': 'application/json', 'content-length': body.length });
    if (decision.fault !== 'truncated') response.end(body);
    else response.write(body.subarray(0, body.length / 2), () => response.destroy());
  }

  /** Undefined: there is no answer. */
  async #carry(whole: Whole, decision: Fault): Promise<Reply | undefined> {
    switch (decision.fault) {
      case 'lost':
        return undefined;
      case 'gateway':
        return { status: 502, body: Buffer.from('<html>bad gateway</html>') };
      case 'answer_lost':
        await this.#handOn(whole);
        return undefined;
      case 'late':
        await pause(decision.ms);
        return this.#handOn(whole);
      case 'doubled': {
        const [, reply] = await Promise.all([this.#handOn(whole), this.#handOn(whole)]);
        return reply;
      }
      case 'replayed': {
        const earlier = this.#replayable[decision.which % this.#replayable.length];
        if (earlier) await this.#handOn(earlier);
        return this.#handOn(whole);
      }
      default:
        return this.#handOn(whole);
    }
  }

  #handOn({ method, url, headers, body }: Whole): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const { connection, 'transfer-encoding': _chunked, ...kept } = headers;
      const options = {
        host: '127.0.0.1',
        port: this.targetPort,
        method,
        path: url,
        headers: { ...kept, 'content-length': String(body.length) },
      };
      const onward = httpRequest(options, (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('error', reject);
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body: Buffer.concat(chunks) }));
      });
      onward.on('error', reject);
      onward.end(body);
    });
  }
}

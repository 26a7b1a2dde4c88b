import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';

/** A listener that cannot be opened; the message is one line for the person who starts the server. */
export class ListenError extends Error {
  override name = 'ListenError';
  /** Of node:net, such as EADDRINUSE, or `TLS` for a certificate that cannot be used. */
  readonly code: string;
  constructor(code: string, message: string, cause: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

export interface ListenOptions {
  /** An address of this machine, such as 127.0.0.1 or `::`. */
  readonly address: string;
  /** 0: any free one. */
  readonly port: number;
  readonly listener: RequestListener;
  /** PEM texts. Without them the listener speaks plain HTTP. */
  readonly tls?: { readonly cert: string; readonly key: string };
  readonly connectionsMax?: number;
  /** Told when a connection could not be accepted, such as for want of file descriptors. The listener goes on. */
  readonly onError?: (error: Error) => void;
}

export interface Listening {
  readonly port: number;
  /** `http://127.0.0.1:8008` */
  readonly url: string;
  /** Stops accepting, at once. Connections without a running request end. */
  close(): void;
  /** Ends every connection and waits until all are gone. */
  stop(): Promise<void>;
}

/** Connections over which a body comes that may take longer, because it is watched elsewhere. */
const slowBodies = new WeakSet<Socket>();

/** The time limit of a request does not hold for the one that runs on this connection, until the returned function is called. */
export function allowSlowBody(socket: Socket): () => void {
  slowBodies.add(socket);
  return () => void slowBodies.delete(socket);
}

const connectionsMaxDefault = 20_000;
/** From the first byte to the last of a request; bounds slow and endless bodies, whatever becomes of the answer. */
const requestTimeoutMs = 60_000;
const headersTimeoutMs = 20_000;
/** How often node:http looks for requests that are overdue. */
const connectionsCheckingIntervalMs = 5_000;
/** Longer than the keep-alive that proxies commonly use, so that it is they who close. */
const keepAliveTimeoutMs = 75_000;
const headersBytesMax = 16 * 1024;

/** Opens a listener. Rejects with ListenError. */
export async function listen(options: ListenOptions): Promise<Listening> {
  const server = createFor(options);
  server.maxConnections = options.connectionsMax ?? connectionsMaxDefault;
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => answerBrokenRequest(error, socket as Socket));
  await open(server, options);
  server.on('error', options.onError ?? (() => {}));
  const bound = server.address() as AddressInfo;
  const host = options.address.includes(':') ? `[${options.address}]` : options.address;
  const closed = new Promise<void>((resolve) => server.once('close', resolve));
  let closing = false;
  const close = (): void => {
    if (closing) return;
    closing = true;
    server.close();
    server.closeIdleConnections();
  };
  return {
    port: bound.port,
    url: `${options.tls ? 'https' : 'http'}://${host}:${bound.port}`,
    close,
    async stop() {
      close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function createFor(options: ListenOptions): Server {
  const settings = {
    requestTimeout: requestTimeoutMs,
    headersTimeout: headersTimeoutMs,
    connectionsCheckingInterval: connectionsCheckingIntervalMs,
    keepAliveTimeout: keepAliveTimeoutMs,
    maxHeaderSize: headersBytesMax,
  };
  if (!options.tls) return createServer(settings, options.listener);
  try {
    return createTlsServer(
      { ...settings, ...options.tls, minVersion: 'TLSv1.2', handshakeTimeout: headersTimeoutMs },
      options.listener,
    );
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ListenError('TLS', `The certificate or key of the listener cannot be used: ${reason}`, error);
  }
}

function open(server: Server, { address, port }: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException): void => {
      reject(new ListenError(error.code ?? 'UNKNOWN', explain(error, address, port), error));
    };
    server.once('error', onError);
    server.listen({ host: address, port }, () => {
      server.off('error', onError);
      resolve();
    });
  });
}

function explain(error: NodeJS.ErrnoException, address: string, port: number): string {
  const place = address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
  switch (error.code) {
    case 'EADDRINUSE':
      return `Cannot listen on ${place}: another program already listens there`;
    case 'EACCES':
      return `Cannot listen on ${place}: not permitted for this user (ports below 1024 usually are not)`;
    case 'EADDRNOTAVAIL':
      return `Cannot listen on ${place}: this machine has no such address`;
    case 'ENOTFOUND':
      return `Cannot listen on ${place}: the address cannot be resolved`;
    default:
      return `Cannot listen on ${place}: ${error.message}`;
  }
}

/** What is no HTTP at all never reaches the routes; it still gets an answer that a client can read. */
function answerBrokenRequest(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT' && slowBodies.has(socket)) return;
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const [status, message] =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? ['431 Request Header Fields Too Large', 'The headers are too large']
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? ['408 Request Timeout', 'The request did not arrive in time']
        : ['400 Bad Request', 'The request is not valid HTTP'];
  const body = JSON.stringify({ errcode: 'M_UNKNOWN', error: message });
  socket.end(
    `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n` +
      `Access-Control-Allow-Origin: *\r\nConnection: close\r\n\r\n${body}`,
  );
}

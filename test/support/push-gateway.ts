import { createServer, type Server } from 'node:https';
import { findFreePort, testIdentity } from './server.ts';

/** What a gateway was told. */
// biome-ignore lint/suspicious/noExplicitAny: a test reads whatever was sent
export type Push = any;

/** A push gateway: keeps what it is told, and answers as the test wants. */
export class TestGateway {
  readonly pushes: Push[] = [];
  readonly url: string;
  status = 200;
  rejected: readonly string[] = [];
  readonly #server: Server;

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.url = `https://127.0.0.1:${port}/_matrix/push/v1/notify`;
  }

  static async start(): Promise<TestGateway> {
    const { certificate } = await testIdentity();
    const port = await findFreePort();
    const server = createServer({ cert: certificate.certificate, key: certificate.key });
    const gateway = new TestGateway(server, port);
    server.on('request', (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        gateway.pushes.push({ path: request.url, ...JSON.parse(Buffer.concat(chunks).toString()) });
        response.writeHead(gateway.status, { 'content-type': 'application/json' });
        response.end(JSON.stringify({ rejected: gateway.rejected }));
      });
    });
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    return gateway;
  }

  /** What came since the last call. */
  take(): Push[] {
    return this.pushes.splice(0).map(({ notification }) => notification);
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

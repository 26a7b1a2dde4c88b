import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findFreePort, TestServer } from './server.ts';
import { TestUser } from './user.ts';

/** What a service was asked. */
export interface ServiceRequest {
  readonly method: string;
  readonly path: string;
  readonly authorization: string | undefined;
  // biome-ignore lint/suspicious/noExplicitAny: a test reads whatever was sent
  readonly body: any;
}

/** A transaction as it came. */
export interface TakenTransaction {
  readonly id: string;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: a test reads whatever was sent
  readonly body: any;
  readonly authorization: string | undefined;
}

export interface ServiceAnswer {
  readonly status: number;
  readonly body?: unknown;
}

/** Where the API stands below the service's address. */
const base = '/base';
const transactionPath = /^\/_matrix\/app\/v1\/transactions\/([^/?]+)$/;

/** An application service: keeps what it is asked, and answers as the test wants. */
export class TestService {
  readonly requests: ServiceRequest[] = [];
  readonly url: string;
  readonly id: string;
  readonly file: string;
  /** What to answer; `never`: nothing, until the service stops. */
  answer: (request: ServiceRequest) => ServiceAnswer | 'never' | Promise<ServiceAnswer | 'never'> = () => ({
    status: 200,
  });
  /** The status to answer a transaction with: what a service is sent is another matter than what it is asked. */
  onTransaction: (transaction: TakenTransaction) => Promise<number> | number = () => 200;
  readonly #server: Server;
  readonly #folder: string;

  private constructor(server: Server, parts: { port: number; id: string; folder: string }) {
    this.#server = server;
    this.#folder = parts.folder;
    this.id = parts.id;
    this.url = `http://127.0.0.1:${parts.port}${base}`;
    this.file = join(parts.folder, 'registration.yaml');
  }

  /** With a registration that says `changes` beside what every one says. JSON is YAML. */
  static async start(id: string, changes: Record<string, unknown> = {}): Promise<TestService> {
    const server = createServer();
    const port = await findFreePort();
    const service = new TestService(server, { port, id, folder: mkdtempSync(join(tmpdir(), 'lantern-service-')) });
    const registration = {
      id,
      url: service.url,
      as_token: service.asToken,
      hs_token: service.hsToken,
      sender_localpart: `_${id}_bot`,
      namespaces: {
        users: [{ exclusive: true, regex: `@_${id}_.*` }],
        aliases: [{ exclusive: true, regex: `#_${id}_.*` }],
      },
      ...changes,
    };
    writeFileSync(service.file, JSON.stringify(registration));
    server.on('request', (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', async () => {
        const text = Buffer.concat(chunks).toString();
        const asked = {
          method: request.method ?? '',
          path: (request.url ?? '').slice(base.length),
          authorization: request.headers.authorization,
          body: text === '' ? undefined : JSON.parse(text),
        };
        const { method, path, authorization, body } = asked;
        const [, id] = transactionPath.exec(path) ?? [];
        if (!request.url?.startsWith(base) || (id !== undefined && method !== 'PUT')) {
          return void response.writeHead(404).end('{}');
        }
        if (id !== undefined) {
          const status = await service.onTransaction({ id, text, body, authorization });
          return void response.writeHead(status, { 'content-type': 'application/json' }).end('{}');
        }
        service.requests.push(asked);
        const failed = (error: unknown): ServiceAnswer => ({ status: 500, body: { error: String(error) } });
        const answer = await Promise.resolve(service.answer(asked)).catch(failed);
        if (answer === 'never') return;
        response.writeHead(answer.status, { 'content-type': 'application/json' });
        response.end(JSON.stringify(answer.body ?? {}));
      });
    });
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    return service;
  }

  get asToken(): string {
    return `as-${this.id}`;
  }

  get hsToken(): string {
    return `hs-${this.id}`;
  }

  /** What came since the last call whose path begins so. */
  take(prefix = ''): ServiceRequest[] {
    return this.requests.splice(0).filter(({ path }) => path.startsWith(prefix));
  }

  /** The service as a client of the server: acts as its sender, or as whom `user_id` says. */
  clientOf(server: Pick<TestServer, 'url'>): TestUser {
    const client = new TestUser(server.url);
    client.accessToken = this.asToken;
    return client;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** A server that knows these services. */
export function startServerWith(
  services: readonly TestService[],
  config: Record<string, unknown> = {},
): Promise<TestServer> {
  return TestServer.start({ config: { app_service_config_files: services.map(({ file }) => file), ...config } });
}

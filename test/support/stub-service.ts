import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findFreePort } from './server.ts';

/** A transaction as it came. */
export interface TakenTransaction {
  readonly id: string;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: a test reads whatever was sent
  readonly body: any;
  readonly authorization: string | undefined;
}

/** An application service that takes transactions: keeps what came, and answers as the test wants. */
export class StubService {
  readonly id: string;
  readonly file: string;
  readonly transactions: TakenTransaction[] = [];
  status = 200;
  /** Called before each answer. */
  beforeAnswer: () => Promise<void> | void = () => {};
  readonly #server: Server;
  readonly #folder: string;

  private constructor(id: string, server: Server, folder: string) {
    this.id = id;
    this.#server = server;
    this.#folder = folder;
    this.file = join(folder, 'registration.yaml');
  }

  /** Its users are those whose names begin with its id. `changes`: what else the registration says. */
  static async start(id: string, changes: Record<string, unknown> = {}): Promise<StubService> {
    const server = createServer();
    const port = await findFreePort();
    const service = new StubService(id, server, mkdtempSync(join(tmpdir(), 'lantern-service-')));
    const registration = {
      id,
      url: `http://127.0.0.1:${port}/base`,
      as_token: `as-${id}`,
      hs_token: `hs-${id}`,
      sender_localpart: `_${id}_bot`,
      namespaces: { users: [{ exclusive: false, regex: `@${id}_.*` }] },
      receive_ephemeral: true,
      ...changes,
    };
    // JSON is YAML.
    writeFileSync(service.file, JSON.stringify(registration));
    server.on('request', (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', async () => {
        const { url = '', method, headers } = request;
        const text = Buffer.concat(chunks).toString();
        const [, txnId] = /^\/base\/_matrix\/app\/v1\/transactions\/([^/?]+)$/.exec(url) ?? [];
        if (method !== 'PUT' || txnId === undefined) return void response.writeHead(404).end('{}');
        const { authorization } = headers;
        service.transactions.push({ id: txnId, text, body: JSON.parse(text), authorization });
        await service.beforeAnswer();
        response.writeHead(service.status, { 'content-type': 'application/json' }).end('{}');
      });
    });
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    return service;
  }

  /** What came since the last call. */
  take(): TakenTransaction[] {
    return this.transactions.splice(0);
  }

  // biome-ignore lint/suspicious/noExplicitAny: a test reads whatever was sent
  takeAll(list: 'events' | 'ephemeral' | 'to_device'): any[] {
    return this.take().flatMap(({ body }) => body[list] ?? []);
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

import { writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import { join } from 'node:path';
import { createAuthority, createCertificate } from '../../src/app/certificates.ts';
import { findFreePorts } from '../support/server-process.ts';

/** Other servers, each with an address of its own on loopback, all in this process: they say yes to every transaction and count them. */
export class StubServers {
  readonly #servers: Server[] = [];
  readonly #port: number;
  readonly #addresses: readonly string[];
  #transactions = 0;

  private constructor(addresses: readonly string[], port: number) {
    this.#addresses = addresses;
    this.#port = port;
  }

  /** `alive` of them listen; nobody answers at the addresses of the others. */
  static async start(
    count: number,
    alive: number,
  ): Promise<{ stubs: StubServers; writeAuthority: (folder: string) => void }> {
    const addresses = Array.from({ length: count }, (_, n) => `127.0.${1 + Math.floor(n / 200)}.${1 + (n % 200)}`);
    const [port = 0] = await findFreePorts(1);
    const stubs = new StubServers(addresses, port);
    const authority = await createAuthority(Date.now());
    const { certificate, key } = await createCertificate(addresses, Date.now(), authority);
    for (const address of addresses.slice(0, alive)) await stubs.#listen(address, { cert: certificate, key });
    return { stubs, writeAuthority: (folder) => writeFileSync(join(folder, 'authority.crt'), authority.certificate) };
  }

  /** A user of each. */
  get users(): { readonly userId: string }[] {
    return this.#addresses.map((address) => ({ userId: `@user:${address}:${this.#port}` }));
  }

  /** How many arrived so far, everywhere. */
  get transactions(): number {
    return this.#transactions;
  }

  async stop(): Promise<void> {
    for (const server of this.#servers) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  }

  #listen(address: string, identity: { cert: string; key: string }): Promise<void> {
    const server = createServer(identity, (request, response) => {
      const isTransaction = request.method === 'PUT' && (request.url ?? '').includes('/federation/v1/send/');
      if (isTransaction) this.#transactions += 1;
      request.resume();
      request.on('end', () => {
        response.writeHead(isTransaction ? 200 : 404, { 'content-type': 'application/json' });
        response.end(isTransaction ? '{"pdus":{}}' : '{"errcode":"M_NOT_FOUND","error":"none"}');
      });
    });
    server.keepAliveTimeout = 120_000;
    this.#servers.push(server);
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.#port, address, () => resolve());
    });
  }
}

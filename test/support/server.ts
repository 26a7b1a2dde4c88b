import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CertificatePair, createAuthority, createCertificate } from '../../src/app/certificates.ts';
import { configShape } from '../../src/app/config/shape.ts';
import { type RunningServer, startServer } from '../../src/app/server.ts';
import { ManualClock } from './manual-clock.ts';
import { TestUser } from './user.ts';

/** Cheap on purpose: what a password costs is not what these tests are about. */
const passwordCost = { memoryKib: 8, passes: 1 };

export interface TestServerOptions {
  /** Shared by servers that are to live in the same time. */
  clock?: ManualClock;
  /** Parts of the configuration, as `lantern.yaml` would have them. */
  config?: Record<string, unknown>;
  /** Keep the data of an earlier server: its folder and name. */
  resume?: TestServer;
}

let identity: Promise<TestIdentity> | undefined;

export interface TestIdentity {
  /** What every server of these tests trusts. */
  readonly authority: CertificatePair;
  /** For 127.0.0.1, signed by it. */
  readonly certificate: CertificatePair;
}

/** The certificates of all servers of this process, made once. */
export function testIdentity(): Promise<TestIdentity> {
  identity ??= (async () => {
    const authority = await createAuthority(Date.now());
    return { authority, certificate: await createCertificate(['127.0.0.1'], Date.now(), authority) };
  })();
  return identity;
}

/** A whole server in this process: real HTTP, real TLS between servers, real signatures; only time is the test's. */
export class TestServer {
  readonly running: RunningServer;
  readonly clock: ManualClock;
  readonly name: string;
  readonly folder: string;
  readonly url: string;
  readonly #options: TestServerOptions;
  #stopped = false;

  private constructor(
    running: RunningServer,
    parts: { clock: ManualClock; name: string; folder: string; options: TestServerOptions },
  ) {
    this.running = running;
    this.clock = parts.clock;
    this.name = parts.name;
    this.folder = parts.folder;
    this.#options = parts.options;
    this.url = running.listeners.find(({ serves }) => serves.includes('client'))?.url ?? '';
  }

  static async start(options: TestServerOptions = {}): Promise<TestServer> {
    const clock = options.clock ?? options.resume?.clock ?? new ManualClock();
    const { authority, certificate } = await testIdentity();
    const folder = options.resume?.folder ?? mkdtempSync(join(tmpdir(), 'lantern-test-'));
    const files = { ca: join(folder, 'ca.crt'), certificate: join(folder, 'tls.crt'), key: join(folder, 'tls.key') };
    writeFileSync(files.ca, authority.certificate);
    writeFileSync(files.certificate, certificate.certificate);
    writeFileSync(files.key, certificate.key);
    const name = options.resume?.name ?? `127.0.0.1:${await findFreePort()}`;
    const { federation, ...config } = options.config ?? {};
    const running = await startServer(
      configShape.parse({
        server_name: name,
        data_dir: folder,
        signing_key: join(folder, 'signing.key'),
        database: { file: join(folder, 'lantern.db') },
        log: { level: 'silent' },
        rate_limits: { enabled: false },
        federation: { ca_file: files.ca, allow_private_addresses: true, ...Object(federation) },
        // Time stands still here, so that windows between two answers would never end by themselves.
        sync: { window_ms: 0 },
        listeners: [
          { port: 0, serves: ['client'] },
          {
            port: Number(name.slice(name.indexOf(':') + 1)),
            serves: ['federation'],
            tls: { certificate: files.certificate, key: files.key },
          },
        ],
        ...config,
      }),
      { clock, passwordCost },
    );
    return new TestServer(running, { clock, name, folder, options });
  }

  async register(localpart: string): Promise<TestUser> {
    const user = new TestUser(this.url);
    await user.register(localpart);
    return user;
  }

  /** Waits until nothing that needs no further time is left to do. */
  async settle(): Promise<void> {
    await this.running.idle();
  }

  /** Ends the server and starts one on the same data under the same name. */
  async restart(): Promise<TestServer> {
    await this.stop({ keepData: true });
    return TestServer.start({ ...this.#options, resume: this });
  }

  async stop({ keepData = false } = {}): Promise<void> {
    if (!this.#stopped) {
      this.#stopped = true;
      await this.running.stop();
    }
    if (!keepData) rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Two servers that federate, in the same time. */
export async function startPair(config: Record<string, unknown> = {}): Promise<[TestServer, TestServer]> {
  const clock = new ManualClock();
  const first = await TestServer.start({ clock, config });
  const second = await TestServer.start({ clock, config });
  return [first, second];
}

/** Waits until none of the servers has anything left to do for itself or for another. */
export async function settle(...servers: readonly TestServer[]): Promise<void> {
  // What one sends, another may answer by sending; two rounds without news would be one too few for three servers.
  for (let round = 0; round < servers.length + 1; round++) for (const server of servers) await server.settle();
}

/** Below the ports that the system gives to connections going out, so that none of these takes one between two starts. */
const ports = { from: 10_000, count: 20_000 };
/** Test files run in several processes, each of which begins elsewhere. */
let nextPort = Math.floor(Math.random() * ports.count);

export async function findFreePort(): Promise<number> {
  for (let tried = 0; tried < 100; tried += 1) {
    const port = ports.from + (nextPort % ports.count);
    nextPort += 1;
    if (await isFree(port)) return port;
  }
  throw new Error('no port is free');
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const free = await new Promise<boolean>((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => resolve(true));
  });
  if (free) await new Promise((done) => server.close(done));
  return free;
}

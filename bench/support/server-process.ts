import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pinned, serverCore } from './cores.ts';
import type { LoopTurn } from './loop-turns.ts';
import { optionsOfStart } from './node-options.ts';
import { type ProcessUsage, readUsage } from './process-usage.ts';

export interface ServerProcessOptions {
  /** Settings beside those that a bench needs anyway, as `lantern.yaml` would have them; a section replaces ours. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Options of Node beside those of `npm start`, such as `--cpu-prof`. */
  readonly nodeOptions?: readonly string[];
  /** Which core it has; the server's by default. */
  readonly core?: number;
  /** For `longestTurn`. A look a millisecond, which costs the server about a hundredth of its core. */
  readonly watchLoop?: boolean;
  /** Called with the folder before the start, such as to put a database there (`data/lantern.db`). */
  readonly prepare?: (folder: string, serverName: string) => void | Promise<void>;
}

/** The built server in a process of its own, bound to one core, on loopback ports, with a data folder that goes with it. */
export class ServerProcess {
  readonly serverName: string;
  readonly clientUrl: string;
  readonly federationUrl: string;
  readonly folder: string;
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;

  private constructor(
    child: ChildProcess,
    places: { serverName: string; clientUrl: string; federationUrl: string; folder: string },
  ) {
    this.#child = child;
    this.serverName = places.serverName;
    this.clientUrl = places.clientUrl;
    this.federationUrl = places.federationUrl;
    this.folder = places.folder;
    this.#ended = new Promise((resolve) => child.once('close', () => resolve()));
  }

  /** Resolves when the server answers. Rejects with what it said when it does not come up. */
  static async start(options: ServerProcessOptions = {}): Promise<ServerProcess> {
    const folder = mkdtempSync(join(tmpdir(), 'lantern-bench-'));
    const [clientPort, federationPort] = await findFreePorts(2);
    const serverName = `127.0.0.1:${federationPort}`;
    const config = {
      server_name: serverName,
      data_dir: 'data',
      signing_key: 'signing.key',
      registration: 'open',
      rate_limits: { enabled: false },
      log: { level: 'warn' },
      federation: { allow_private_addresses: true },
      listeners: [
        { address: '127.0.0.1', port: clientPort, serves: ['client'], tls: false },
        { address: '127.0.0.1', port: federationPort, serves: ['federation'], tls: false },
      ],
      ...options.config,
    };
    // JSON is YAML.
    writeFileSync(join(folder, 'lantern.yaml'), JSON.stringify(config));
    mkdirSync(join(folder, 'data'));
    await options.prepare?.(folder, serverName);
    const main = fileURLToPath(new URL('main.js', import.meta.url));
    const [command = '', ...args] = pinned(
      [
        process.execPath,
        ...optionsOfStart(),
        ...(options.watchLoop ? ['--import', new URL('loop-watch.js', import.meta.url).href] : []),
        ...(options.nodeOptions ?? []),
        main,
        'start',
        '--config',
        join(folder, 'lantern.yaml'),
      ],
      options.core ?? serverCore,
    );
    const child = spawn(command, args, {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe', options.watchLoop ? 'ipc' : 'ignore'],
    });
    const server = new ServerProcess(child, {
      serverName,
      clientUrl: `http://127.0.0.1:${clientPort}`,
      federationUrl: `http://127.0.0.1:${federationPort}`,
      folder,
    });
    try {
      await untilUp(child);
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  get pid(): number {
    const { pid } = this.#child;
    if (pid === undefined) throw new Error('the server did not start');
    return pid;
  }

  usage(): ProcessUsage {
    return readUsage(this.pid);
  }

  /** The longest turn of the server's loop since the last question (or the start). With `watchLoop` only. */
  longestTurn(): Promise<LoopTurn> {
    return new Promise((resolve, reject) => {
      const gone = (): void => reject(new Error('the server ended'));
      this.#child.once('close', gone);
      this.#child.once('message', (message) => {
        this.#child.removeListener('close', gone);
        resolve(message as LoopTurn); // loop-watch sends nothing else
      });
      this.#child.send({});
    });
  }

  /** Ends the process and removes its folder. */
  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill('SIGTERM');
    await this.#ended;
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Node's options for a profile of the server's CPU time, which `--set profile=1` asks for; it is written when the server stops. */
export function profileOptions(): string[] {
  return ['--cpu-prof', `--cpu-prof-dir=${resolve('dist', 'bench', 'profiles')}`];
}

/** What the server says is read to its end, so that it never waits for a reader; complaints go to our stderr. */
function untilUp(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let said = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      if (said.length < 10_000) said += chunk.toString();
      if (said.includes('Lantern is up')) resolve();
    });
    child.stderr?.on('data', (chunk: Buffer) => {
      if (said.length < 10_000) said += chunk.toString();
      process.stderr.write(chunk);
    });
    child.once('error', reject);
    child.once('close', (code) => reject(new Error(`the server ended with ${code}:\n${said}`)));
  });
}

/** Ports that nobody had a moment ago, no two the same. */
export async function findFreePorts(count: number): Promise<number[]> {
  const listening = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<{ port: number; close: () => Promise<void> }>((resolve, reject) => {
          const server = createServer();
          server.once('error', reject);
          server.listen(0, '127.0.0.1', () => {
            const address = server.address();
            const port = typeof address === 'object' && address ? address.port : 0;
            resolve({ port, close: () => new Promise((closed) => server.close(() => closed())) });
          });
        }),
    ),
  );
  for (const { close } of listening) await close();
  return listening.map(({ port }) => port);
}

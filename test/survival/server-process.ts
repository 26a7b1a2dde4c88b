import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import type { Storage } from '../../src/storage/contract/storage.ts';
import { openSqliteStorage } from '../../src/storage/sqlite/open.ts';
import { findFreePort, testIdentity } from '../support/server.ts';
import { TestUser } from '../support/user.ts';
import { builtServer } from './build.ts';
import { until } from './until.ts';

/** One line of the server's log. */
export interface LogLine {
  readonly time: number;
  readonly level: number;
  readonly msg: string;
  readonly [field: string]: unknown;
}

const running = new Set<ChildProcess>();
// A run that ends in the middle leaves no server behind.
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** A whole server in a process of its own, on loopback, whose data outlives the process. */
export class ServerProcess {
  readonly name: string;
  readonly url: string;
  /** Where it listens for other servers: under its name, or where a proxy hands on to. */
  readonly federationPort: number;
  readonly clock = systemClock;
  readonly #folder: string;
  #child: ChildProcess | undefined;
  #said = '';

  private constructor(parts: { name: string; url: string; federationPort: number; folder: string }) {
    this.name = parts.name;
    this.url = parts.url;
    this.federationPort = parts.federationPort;
    this.#folder = parts.folder;
  }

  /** `proxyPort`: others reach it through a proxy there, which ends TLS. */
  static async start(options: { proxyPort?: number; config?: Record<string, unknown> } = {}): Promise<ServerProcess> {
    const folder = mkdtempSync(join(tmpdir(), 'lantern-survival-'));
    const { authority, certificate } = await testIdentity();
    const files = { ca: join(folder, 'ca.crt'), certificate: join(folder, 'tls.crt'), key: join(folder, 'tls.key') };
    writeFileSync(files.ca, authority.certificate);
    writeFileSync(files.certificate, certificate.certificate);
    writeFileSync(files.key, certificate.key);
    const [clientPort, federationPort] = [await findFreePort(), await findFreePort()];
    const name = `127.0.0.1:${options.proxyPort ?? federationPort}`;
    const tls = options.proxyPort === undefined && { certificate: files.certificate, key: files.key };
    const config = {
      server_name: name,
      data_dir: 'data',
      signing_key: 'signing.key',
      registration: 'open',
      rate_limits: { enabled: false },
      log: { level: 'info', format: 'json' },
      federation: { ca_file: files.ca, allow_private_addresses: true },
      listeners: [
        { port: clientPort, serves: ['client'] },
        { port: federationPort, serves: ['federation'], tls },
      ],
      ...options.config,
    };
    mkdirSync(join(folder, 'data'));
    // JSON is YAML.
    writeFileSync(join(folder, 'lantern.yaml'), JSON.stringify(config));
    const server = new ServerProcess({ name, url: `http://127.0.0.1:${clientPort}`, federationPort, folder });
    await server.startAgain();
    return server;
  }

  get pid(): number {
    const pid = this.#child?.pid;
    if (pid === undefined) throw new Error(`${this.name} is not running`);
    return pid;
  }

  /** Resolves when it is up; rejects with what it said when it ends before that. */
  async startAgain(): Promise<void> {
    const args = [builtServer, 'start', '--config', join(this.#folder, 'lantern.yaml')];
    const child = spawn(process.execPath, args, { cwd: this.#folder, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    running.add(child);
    child.once('close', () => running.delete(child));
    const from = this.#said.length;
    const hear = (chunk: Buffer) => {
      this.#said += chunk.toString();
    };
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    await until(`${this.name} comes up`, () => {
      if (this.#said.includes('Lantern is up', from)) return true;
      return child.exitCode === null && child.signalCode === null ? undefined : 'ended';
    }).then((outcome) => {
      if (outcome === 'ended') throw new Error(`${this.name} did not come up:\n${this.#said.slice(from)}`);
    });
  }

  /** kill -9. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** Ends it cleanly; its data stays. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM');
  }

  async #end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const closed = new Promise((resolve) => child.once('close', resolve));
    child.kill(signal);
    await closed;
  }

  /** Kills it and removes its data. */
  async remove(): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async register(localpart: string): Promise<TestUser> {
    const user = new TestUser(this.url);
    await user.register(localpart);
    return user;
  }

  /** Its storage, while it is not running. The caller stops it. */
  openStorage(): Promise<Storage> {
    return openSqliteStorage({ file: join(this.#folder, 'data', 'lantern.db'), clock: systemClock });
  }

  /** What it logged, oldest first, over all its starts. A line that a kill cut off is left out. */
  log(): LogLine[] {
    return this.#said.split('\n').flatMap((line) => {
      try {
        const parsed: unknown = JSON.parse(line);
        return typeof parsed === 'object' && parsed !== null ? [parsed as LogLine] : [];
      } catch {
        return [];
      }
    });
  }

  /** Of errors and worse: bugs, each of them. */
  errors(): LogLine[] {
    return this.log().filter(({ level }) => level >= 50);
  }

  /** Mebibytes in memory now, and at most since the start. */
  memory(): { now: number; peak: number } {
    const status = readFileSync(`/proc/${this.pid}/status`, 'utf8');
    const read = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) / 1_024;
    return { now: read('VmRSS'), peak: read('VmHWM') };
  }

  /** Seconds of CPU that all its threads have used. */
  cpuSeconds(): number {
    const stat = readFileSync(`/proc/${this.pid}/stat`, 'utf8');
    // The command's name, which may hold anything, ends at the last bracket. Linux counts in hundredths for everybody who reads.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / 100;
  }
}

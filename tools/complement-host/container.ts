import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, writeFileSync } from 'node:fs';
import { cp, mkdir, rm } from 'node:fs/promises';
import { constants } from 'node:os';
import { join, normalize } from 'node:path';
import { pipeline, type Readable } from 'node:stream';
import { EngineError } from './engine-error.ts';
import type { Launch } from './launch.ts';
import { type PublishedPort, publishPort } from './published-port.ts';

const clientPort = 8008;
const federationPort = 8448;

export interface ContainerProperties {
  readonly id: string;
  readonly name: string;
  readonly imageName: string;
  readonly labels: Readonly<Record<string, string>>;
  /** SERVER_NAME, and what else Complement passes on to the homeserver. */
  readonly environment: Readonly<Record<string, string>>;
  readonly network: string;
  /** Its names in that network. */
  readonly aliases: readonly string[];
  /** On the loopback interface; nobody else's. */
  readonly address: string;
  /** name → address */
  readonly extraHosts: ReadonlyMap<string, string>;
  readonly driver: string;
  /** For all files but the log. */
  readonly directory: string;
  readonly logFile: string;
  readonly launch: Launch;
  readonly warn: (message: string) => void;
}

export type ContainerStatus = 'created' | 'running' | 'paused' | 'exited';

/**
 * A directory, a process group that runs the driver in it, an address of its own on the loopback interface, and ports that
 * lead there.
 */
export class Container {
  readonly properties: ContainerProperties;
  readonly createdAt = new Date();
  /** What an image of it is a copy of. */
  readonly root: string;
  readonly #hostsFile: string;
  #hosts: string | undefined;
  #ports: readonly PublishedPort[] = [];
  #process: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();
  #isEndRequested = false;
  #isPaused = false;
  #exitCode: number | undefined;

  constructor(properties: ContainerProperties) {
    this.properties = properties;
    this.root = join(properties.directory, 'root');
    this.#hostsFile = join(properties.directory, 'hosts');
  }

  get status(): ContainerStatus {
    if (this.#process) return this.#isPaused ? 'paused' : 'running';
    return this.#exitCode === undefined ? 'created' : 'exited';
  }

  get isRunning(): boolean {
    return this.#process !== undefined;
  }

  /** 0 while it does not run. */
  get processId(): number {
    return this.#process?.pid ?? 0;
  }

  /** Of the last run; undefined while there has been none. */
  get exitCode(): number | undefined {
    return this.#exitCode;
  }

  get ports(): readonly PublishedPort[] {
    return this.#ports;
  }

  /** Makes the directory, from an image's files if there is one, and publishes the ports. */
  async prepare(imageRoot: string | undefined): Promise<void> {
    if (imageRoot !== undefined) await cp(imageRoot, this.root, { recursive: true });
    for (const directory of ['data', 'complement/ca', 'complement/appservice']) {
      await mkdir(join(this.root, directory), { recursive: true });
    }
    const { address } = this.properties;
    this.#ports = [await publishPort(address, clientPort), await publishPort(address, federationPort)];
  }

  /** Sets the homeserver's /etc/hosts, which it sees at once even while it runs. */
  setHosts(text: string): void {
    if (text === this.#hosts) return;
    this.#hosts = text;
    mkdirSync(this.properties.directory, { recursive: true }); // a neighbour may come before our own files do
    writeFileSync(this.#hostsFile, text);
  }

  /** Unpacks a tar archive below a directory of the container. */
  async extract(archive: Readable, directory: string): Promise<void> {
    const target = join(this.root, normalize(`/${directory}`));
    const tar = spawn('tar', ['-x', '-m', '--no-same-owner', '-C', target], { stdio: ['pipe', 'ignore', 'pipe'] });
    let complaint = '';
    tar.stderr.on('data', (chunk: Buffer) => {
      complaint += chunk.toString();
    });
    pipeline(archive, tar.stdin, () => {}); // if tar ends early, its exit status tells
    const [status] = await once(tar, 'close');
    if (status !== 0)
      throw new EngineError(400, `the archive cannot be unpacked into ${directory}: ${complaint.trim()}`);
  }

  /** Rejects, with the container as it was before, if the driver cannot be started. */
  async start(): Promise<void> {
    if (this.#process) return;
    const { driver, environment, address, logFile, launch } = this.properties;
    this.#isEndRequested = false;
    const log = openSync(logFile, 'a');
    const child = launch({
      driver,
      workingDirectory: this.root,
      hostsFile: this.#hostsFile,
      log,
      environment: {
        ...environment,
        DATA_DIR: join(this.root, 'data'),
        CA_DIR: join(this.root, 'complement/ca'),
        APPSERVICE_DIR: join(this.root, 'complement/appservice'),
        CLIENT_ADDRESS: address,
        CLIENT_PORT: String(clientPort),
        FEDERATION_ADDRESS: address,
        FEDERATION_PORT: String(federationPort),
      },
    });
    closeSync(log);
    // All before the first await: a driver may end at once, and who stops or removes the container meanwhile must find the process.
    this.#process = child;
    this.#ended = new Promise((ended) => {
      child.once('exit', (status, signal) => {
        this.#onEnd(child, status, signal);
        ended();
      });
      child.once('error', () => {
        this.#process = undefined; // it could not be started, so nothing exits
        ended();
      });
    });
    await once(child, 'spawn');
  }

  /** Resolves when the homeserver does not run; never rejects. */
  ended(): Promise<void> {
    return this.#ended;
  }

  /** Asks the homeserver to end, and kills it if it has not after `graceMs`. */
  async stop(graceMs: number): Promise<void> {
    this.#isEndRequested = true;
    const deadline = setTimeout(() => this.#signal('SIGKILL'), graceMs);
    this.#signal('SIGTERM');
    this.#signal('SIGCONT'); // it may be paused
    await this.#ended;
    clearTimeout(deadline);
  }

  async kill(): Promise<void> {
    this.killNow();
    await this.#ended;
  }

  /** The same without waiting: for the last moment of this process. */
  killNow(): void {
    this.#isEndRequested = true;
    this.#signal('SIGKILL');
  }

  pause(): void {
    this.#signal('SIGSTOP');
    this.#isPaused = this.isRunning;
  }

  unpause(): void {
    this.#signal('SIGCONT');
    this.#isPaused = false;
  }

  /** Ends the homeserver and removes everything but its log. */
  async remove(): Promise<void> {
    await this.kill();
    for (const port of this.#ports) port.close();
    await rm(this.properties.directory, { recursive: true, force: true, maxRetries: 5 });
  }

  #signal(name: NodeJS.Signals): void {
    if (this.#process) signalGroup(this.#process, name);
  }

  #onEnd(child: ChildProcess, status: number | null, signal: NodeJS.Signals | null): void {
    signalGroup(child, 'SIGKILL'); // what the driver may have left behind
    this.#process = undefined;
    this.#isPaused = false;
    this.#exitCode = status ?? 128 + (signal === null ? 0 : constants.signals[signal]);
    if (this.#isEndRequested) return;
    const { name, logFile, warn } = this.properties;
    warn(`${name} ended by itself (exit status ${this.#exitCode}), see ${logFile}`);
  }
}

function signalGroup({ pid }: ChildProcess, name: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, name);
  } catch (error) {
    const hasEnded = error instanceof Error && 'code' in error && error.code === 'ESRCH';
    if (!hasEnded) throw error;
  }
}

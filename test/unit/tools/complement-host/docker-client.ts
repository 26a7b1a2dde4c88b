import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { type IncomingHttpHeaders, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { createDockerApi } from '../../../../tools/complement-host/docker-api.ts';
import { Engine } from '../../../../tools/complement-host/engine.ts';
import { type Launch, spawnOptions } from '../../../../tools/complement-host/launch.ts';

const stub = join(import.meta.dirname, 'homeserver-stub.mjs');

export interface DockerAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: Buffer;
  // biome-ignore lint/suspicious/noExplicitAny: whatever JSON the test looks into
  readonly json: any;
}

/** The tool's API on a socket, and calls to it as Complement makes them; homeservers are a stub without a namespace. */
export class DockerClient {
  readonly engine: Engine;
  readonly warnings: string[] = [];
  readonly logDirectory: string;
  readonly #directory = mkdtempSync(join(tmpdir(), 'complement-host-test-'));
  readonly #socket = join(this.#directory, 'docker.sock');
  readonly #server;
  readonly #children: ChildProcess[] = [];

  constructor() {
    this.logDirectory = join(this.#directory, 'logs');
    mkdirSync(this.logDirectory);
    const warn = (message: string) => {
      this.warnings.push(message);
    };
    // The channel tells when the stub listens.
    const launch: Launch = (launched) => {
      const options = spawnOptions(launched);
      const stdio = ['ignore', launched.log, launched.log, 'ipc'] as const;
      const child = spawn(process.execPath, [launched.driver], { ...options, stdio: [...stdio] });
      this.#children.push(child);
      return child;
    };
    const drivers = new Map([['lantern', stub]]);
    this.engine = new Engine({ directory: this.#directory, logDirectory: this.logDirectory, drivers, launch, warn });
    this.#server = createDockerApi(this.engine, warn);
  }

  async listen(): Promise<this> {
    this.#server.listen(this.#socket);
    await once(this.#server, 'listening');
    return this;
  }

  async call(method: string, path: string, body?: unknown): Promise<DockerAnswer> {
    const sent = request({ socketPath: this.#socket, method, path: `/v1.45${path}`, agent: false });
    sent.end(Buffer.isBuffer(body) ? body : body === undefined ? undefined : JSON.stringify(body));
    const [response] = await once(sent, 'response');
    const bytes = await buffer(response);
    const isJson = response.headers['content-type'] === 'application/json';
    return {
      status: response.statusCode,
      headers: response.headers,
      bytes,
      json: isJson ? JSON.parse(`${bytes}`) : undefined,
    };
  }

  /** As Complement's deployer does it. Answers the id. */
  async create(name: string, serverName: string, options: { image?: string; env?: string[]; network?: string } = {}) {
    const { json } = await this.call('POST', `/containers/create?name=${name}`, {
      Image: options.image ?? 'lantern:latest',
      Env: [`SERVER_NAME=${serverName}`, ...(options.env ?? [])],
      Labels: { complement_pkg: 'csapi', complement_hs_name: serverName },
      HostConfig: { ExtraHosts: ['host.docker.internal:host-gateway'] },
      NetworkingConfig: { EndpointsConfig: { [options.network ?? 'network']: { Aliases: [serverName] } } },
    });
    return String(json.Id);
  }

  /** Starts a container and waits until its homeserver listens. */
  async start(id: string): Promise<void> {
    const { status } = await this.call('POST', `/containers/${id}/start`);
    if (status !== 204) throw new Error(`start was answered with ${status}`);
    const child = this.#children.at(-1);
    if (child) await once(child, 'message');
  }

  /** What the homeserver answers through its published port. */
  async ask(id: string) {
    const { json } = await this.call('GET', `/containers/${id}/json`);
    const { HostIp, HostPort } = json.NetworkSettings.Ports['8008/tcp'][0];
    return (await fetch(`http://${HostIp}:${HostPort}/`, { headers: { connection: 'close' } })).json();
  }

  async stop(): Promise<void> {
    this.#server.close();
    await this.engine.stop();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** A tar archive with one file, as Complement's deployer makes it: an absolute name, mode 0777. */
export function tarOf(name: string, text: string): Buffer {
  const content = Buffer.from(text);
  const header = Buffer.alloc(512);
  header.write(name, 0);
  header.write('0000777\0', 100);
  header.write('0000000\0', 108);
  header.write('0000000\0', 116);
  header.write(`${content.length.toString(8).padStart(11, '0')}\0`, 124);
  header.write('00000000000\0', 136);
  header.write('        ', 148);
  header.write('0', 156);
  header.write('ustar\0', 257);
  header.write('00', 263);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  const padding = Buffer.alloc((512 - (content.length % 512)) % 512);
  return Buffer.concat([header, content, padding, Buffer.alloc(1024)]);
}

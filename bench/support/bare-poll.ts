import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { pinned, serverCore } from './cores.ts';
import { LoadClient } from './load-client.ts';
import { optionsOfStart } from './node-options.ts';
import { type ProcessUsage, readUsage, usageBetween } from './process-usage.ts';
import { RawPoller } from './raw-poll.ts';

/** The bare node:http server in a process of its own, on the core that the server has and with the options of Node that it has. */
export class BarePollServer {
  readonly url: string;
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;

  private constructor(url: string, child: ChildProcess, ended: Promise<unknown>) {
    this.url = url;
    this.#child = child;
    this.#ended = ended;
  }

  /** `nothing` is the answer at the end of a request's time; without it requests wait for a PUT, however long. */
  static async start({ nothing }: { readonly nothing?: string } = {}): Promise<BarePollServer> {
    const program = fileURLToPath(new URL('bare-poll-server.js', import.meta.url));
    const args = nothing === undefined ? [] : [nothing];
    const [command = '', ...rest] = pinned([process.execPath, ...optionsOfStart(), program, ...args], serverCore);
    const child = spawn(command, rest, { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = new Promise((resolve) => child.once('close', resolve));
    const port = await new Promise<string>((resolve, reject) => {
      child.stdout.once('data', (chunk: Buffer) => resolve(/port (\d+)/.exec(chunk.toString())?.[1] ?? ''));
      child.once('close', () => reject(new Error('the bare server ended')));
    });
    return new BarePollServer(`http://127.0.0.1:${port}`, child, ended);
  }

  usage(): ProcessUsage {
    return readUsage(this.#child.pid ?? 0);
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGTERM');
    await this.#ended;
  }
}

export interface BareLoad {
  readonly viewers: number;
  /** What every one of them is answered. */
  readonly body: string;
  readonly perSecond: number;
  readonly seconds: number;
  readonly warmUpAnswers: number;
}

/** What one long-poll answer of a bare node:http server costs, in microseconds of its CPU, on the core that the server has. */
export async function measureBarePoll(load: BareLoad): Promise<number> {
  const server = await BarePollServer.start();
  const pollers: RawPoller[] = [];
  try {
    const { url } = server;
    const client = new LoadClient(url, 1);
    for (let n = 0; n < load.viewers; n += 1) {
      pollers.push(new RawPoller({ url, token: `token-${n}`, since: 's0', query: '', onAnswer: () => {} }));
    }
    const polling = Promise.all(pollers.map((poller) => poller.run()));
    const answers = (): number => pollers.reduce((sum, poller) => sum + poller.answers, 0);
    const tell = (): Promise<unknown> => client.request({ method: 'PUT', path: '/', body: load.body });
    while (answers() < load.warmUpAnswers) {
      await tell();
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
    const before = { usage: server.usage(), answers: answers() };
    for (let n = 0; n < load.perSecond * load.seconds; n += 1) {
      await tell();
      await new Promise((resolve) => setTimeout(resolve, 1_000 / load.perSecond));
    }
    const { cpuMs } = usageBetween(before.usage, server.usage());
    const cost = (cpuMs * 1_000) / (answers() - before.answers);
    for (const poller of pollers) poller.stop();
    await polling;
    await client.stop();
    return cost;
  } finally {
    for (const poller of pollers) poller.stop();
    await server.stop();
  }
}

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { pinned, serverCore } from './cores.ts';
import { LoadClient } from './load-client.ts';
import { readUsage, usageBetween } from './process-usage.ts';
import { RawPoller } from './raw-poll.ts';

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
  const program = fileURLToPath(new URL('bare-poll-server.js', import.meta.url));
  const [command = '', ...args] = pinned([process.execPath, program], serverCore);
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise((resolve) => child.once('close', resolve));
  const pollers: RawPoller[] = [];
  try {
    const port = await new Promise<string>((resolve, reject) => {
      child.stdout.once('data', (chunk: Buffer) => resolve(/port (\d+)/.exec(chunk.toString())?.[1] ?? ''));
      child.once('close', () => reject(new Error('the bare server ended')));
    });
    const url = `http://127.0.0.1:${port}`;
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
    const before = { usage: readUsage(child.pid ?? 0), answers: answers() };
    for (let n = 0; n < load.perSecond * load.seconds; n += 1) {
      await tell();
      await new Promise((resolve) => setTimeout(resolve, 1_000 / load.perSecond));
    }
    const { cpuMs } = usageBetween(before.usage, readUsage(child.pid ?? 0));
    const cost = (cpuMs * 1_000) / (answers() - before.answers);
    for (const poller of pollers) poller.stop();
    await polling;
    await client.stop();
    return cost;
  } finally {
    for (const poller of pollers) poller.stop();
    child.kill('SIGTERM');
    await ended;
  }
}

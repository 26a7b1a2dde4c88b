import { BarePollServer } from '../support/bare-poll.ts';
import { pinThisProcess } from '../support/cores.ts';
import { LoadClient } from '../support/load-client.ts';
import { type ProcessUsage, usageBetween } from '../support/process-usage.ts';
import { RawPoller } from '../support/raw-poll.ts';
import type { BenchPart } from '../support/run.ts';
import { profileOptions, ServerProcess } from '../support/server-process.ts';
import { firstTokens, wait } from './audience.ts';
import { type Member, writeDatabase, writeMembers, writeRoom } from './crowd.ts';
import { steadyPresence } from './steady.ts';

const known = 10_000;
const membersOfRoom = 50;
/** Of everybody's long-poll: within one, each of them comes back once. */
const timeoutMs = 30_000;

/** As long as an answer of ours with nothing in it. */
const bareBody = JSON.stringify({
  next_batch: 's1_1000123_AbCdEfGh.1_p1790000000000e1234567890n123456789',
  device_one_time_keys_count: { signed_curve25519: 0 },
  device_unused_fallback_key_types: [],
});

/**
 * Users who are connected and to whom nothing happens. Afterwards as many requests come back to a bare server: a core that sleeps between two answers pays
 * more for each, whoever gives them, and two servers on one core pay for each other's caches.
 */
export function idlePart(load: {
  readonly connected: number;
  readonly share: number;
  readonly rssMiB: number;
}): BenchPart {
  const name = `${load.connected} idle`;
  return {
    name,
    run: async ({ set }) => {
      pinThisProcess();
      const count = set.get('known') ?? known;
      const connected = Math.min(count, load.connected);
      let members: Member[] = [];
      const server = await ServerProcess.start({
        config: { presence: steadyPresence },
        nodeOptions: set.has('profile') ? profileOptions() : [],
        prepare: (folder, serverName) =>
          writeDatabase(folder, async (storage) => {
            members = await writeMembers(storage, { serverName, name: 'user', count });
            for (let start = 0; start < count; start += membersOfRoom) {
              await writeRoom(storage, `room${start}`, members.slice(start, start + membersOfRoom));
            }
          }),
      });
      const client = new LoadClient(server.clientUrl);
      try {
        const viewers = members.slice(0, connected);
        const before = server.usage();
        const since = await firstTokens(client, viewers);
        const firstAnswers = usageBetween(before, server.usage());
        const ours = viewers.map(({ token }, n) => ({ token, since: since[n] ?? '' }));
        const { online, share, rssMiB } = await idleShare(server, server.clientUrl, ours);
        await client.stop();
        await server.stop();
        return [
          { name: `${name}: coming online`, unit: 'ms of CPU', value: usageBetween(before, online).cpuMs },
          {
            name: `${name}: CPU`,
            unit: '% of a core',
            value: share * 100,
            limit: { what: 'node:http', value: (await bareShare(ours)) * 100 },
            bound: { atMost: load.share * 100 },
            note: `${connected} of ${count} users, ${firstAnswers.cpuMs.toFixed(0)} ms of CPU for their first answers`,
          },
          { name: `${name}: memory`, unit: 'MiB', value: rssMiB, bound: { atMost: load.rssMiB } },
        ];
      } finally {
        await client.stop();
        await server.stop();
      }
    },
  };
}

type Waiting = readonly { readonly token: string; readonly since: string }[];

async function bareShare(clients: Waiting): Promise<number> {
  const bare = await BarePollServer.start({ nothing: bareBody });
  try {
    return (await idleShare(bare, bare.url, clients)).share;
  } finally {
    await bare.stop();
  }
}

/** What a server has used when all have come, and which share of a core they cost from then on. */
async function idleShare(
  server: { usage(): ProcessUsage },
  url: string,
  clients: Waiting,
): Promise<{ online: ProcessUsage; share: number; rssMiB: number }> {
  const waiting = new IdleClients();
  try {
    await waiting.come(url, clients, timeoutMs);
    const online = server.usage();
    // Once round, in which the garbage of their coming is collected too.
    await wait(timeoutMs);
    const start = server.usage();
    await wait(timeoutMs);
    const end = server.usage();
    return { online, share: usageBetween(start, end).share, rssMiB: end.rssMiB };
  } finally {
    await waiting.stop();
  }
}

/** Those who wait, until they are stopped. */
class IdleClients {
  readonly #pollers: RawPoller[] = [];
  readonly #polling: Promise<void>[] = [];

  /** One after the other within one time-out, as clients come back: not all in one moment. */
  async come(url: string, clients: Waiting, withinMs: number): Promise<void> {
    const startedAt = performance.now();
    for (const [n, one] of clients.entries()) {
      const dueInMs = startedAt + (n * withinMs) / clients.length - performance.now();
      if (dueInMs > 1) await wait(dueInMs);
      const poller = new RawPoller({ url, ...one, query: '', timeoutMs: withinMs, onAnswer: () => {} });
      this.#pollers.push(poller);
      this.#polling.push(poller.run());
    }
  }

  async stop(): Promise<void> {
    for (const poller of this.#pollers) poller.stop();
    await Promise.all(this.#polling);
  }
}

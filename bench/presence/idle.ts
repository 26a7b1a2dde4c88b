import { pinThisProcess } from '../support/cores.ts';
import { LoadClient } from '../support/load-client.ts';
import { usageBetween } from '../support/process-usage.ts';
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

/** Users who are connected and to whom nothing happens. */
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
      const pollers: RawPoller[] = [];
      try {
        const viewers = members.slice(0, connected);
        const before = server.usage();
        const since = await firstTokens(client, viewers);
        const url = server.clientUrl;
        for (const [n, { token }] of viewers.entries()) {
          pollers.push(new RawPoller({ url, token, since: since[n] ?? '', query: '', onAnswer: () => {} }));
        }
        const polling: Promise<void>[] = [];
        // One after the other within one time-out, as clients come back: not all in one moment.
        await evenly(pollers.length, timeoutMs, (n) => {
          const run = pollers[n]?.run();
          if (run) polling.push(run);
        });
        const online = server.usage();
        // Once round, in which the garbage of their coming is collected too.
        await wait(timeoutMs);
        const start = server.usage();
        await wait(timeoutMs);
        const end = server.usage();
        for (const poller of pollers) poller.stop();
        await Promise.all(polling);
        return [
          { name: `${name}: coming online`, unit: 'ms of CPU', value: usageBetween(before, online).cpuMs },
          {
            name: `${name}: CPU`,
            unit: '% of a core',
            value: usageBetween(start, end).share * 100,
            bound: { atMost: load.share * 100 },
            note: `${connected} of ${count} users`,
          },
          { name: `${name}: memory`, unit: 'MiB', value: end.rssMiB, bound: { atMost: load.rssMiB } },
        ];
      } finally {
        for (const poller of pollers) poller.stop();
        await client.stop();
        await server.stop();
      }
    },
  };
}

/** `act` for 0 to `count` - 1, spread over that time. */
async function evenly(count: number, overMs: number, act: (n: number) => void): Promise<void> {
  const startedAt = performance.now();
  for (let n = 0; n < count; n += 1) {
    const dueInMs = startedAt + (n * overMs) / count - performance.now();
    if (dueInMs > 1) await wait(dueInMs);
    act(n);
  }
}

import { pinThisProcess } from '../support/cores.ts';
import { LoadClient } from '../support/load-client.ts';
import { usageBetween } from '../support/process-usage.ts';
import { RawPoller } from '../support/raw-poll.ts';
import type { BenchPart } from '../support/run.ts';
import { ServerProcess } from '../support/server-process.ts';
import { firstTokens, wait } from './audience.ts';
import { type Member, writeDatabase, writeMembers, writeRoom } from './crowd.ts';
import { steadyPresence } from './steady.ts';

const known = 10_000;
const membersOfRoom = 50;
/** One whole time-out of everybody's long-poll, so that each of them comes back once. */
const measuredMs = 30_000;

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
        const polling = Promise.all(pollers.map((poller) => poller.run()));
        await untilQuiet(pollers);
        const start = server.usage();
        await wait(measuredMs);
        const end = server.usage();
        for (const poller of pollers) poller.stop();
        await polling;
        return [
          { name: `${name}: coming online`, unit: 'ms of CPU', value: usageBetween(before, start).cpuMs },
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

/** Until a second brings an answer to no more of them than come back anyway. */
async function untilQuiet(pollers: readonly RawPoller[]): Promise<void> {
  const total = (): number => pollers.reduce((sum, { answers }) => sum + answers, 0);
  for (let looks = 0; looks < 60; looks += 1) {
    const before = total();
    await wait(1_000);
    if (looks > 2 && total() - before < pollers.length / 10) return;
  }
}

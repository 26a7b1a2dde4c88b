import { pinThisProcess } from '../support/cores.ts';
import { LoadClient } from '../support/load-client.ts';
import { usageBetween } from '../support/process-usage.ts';
import type { Measure } from '../support/report.ts';
import type { BenchPart } from '../support/run.ts';
import { ServerProcess } from '../support/server-process.ts';
import { Audience, wait } from './audience.ts';
import { type Member, writeDatabase, writeMembers, writeRoom } from './crowd.ts';
import { StubServers } from './servers.ts';
import { steadyPresence } from './steady.ts';

const windowMs = 1_000;
/** Short, so that spans of equal length have equal numbers of transactions in them. */
const windowMaxMs = 3_000;
const perSecond = 10;
const spanSeconds = 12;

/** The rooms of one person span very many servers, and the person changes again and again. */
export function manyServersPart({ count, alive }: { readonly count: number; readonly alive: number }): BenchPart {
  const name = `${count} servers, ${count - alive} dead`;
  return {
    name,
    run: async () => {
      pinThisProcess();
      const { stubs, writeAuthority } = await StubServers.start(count, alive);
      let subjects: Member[] = [];
      const server = await ServerProcess.start({
        config: {
          federation: { allow_private_addresses: true, ca_file: 'authority.crt' },
          presence: { ...steadyPresence, federation_window_ms: windowMs, federation_window_max_ms: windowMaxMs },
        },
        prepare: (folder, serverName) => {
          writeAuthority(folder);
          return writeDatabase(folder, async (storage) => {
            subjects = await writeMembers(storage, { serverName, name: 'subject', count: 1 });
            await writeRoom(storage, 'everywhere', [...subjects, ...stubs.users]);
          });
        },
      });
      const client = new LoadClient(server.clientUrl);
      try {
        const audience = await Audience.start({ client, url: server.clientUrl }, { subjects, viewers: [] });
        // Opens the connections, and finds who is dead.
        await audience.change(perSecond, spanSeconds);
        const spans: number[] = [];
        const before = stubs.transactions;
        const startedAt = performance.now();
        let changes = 0;
        for (let span = 0; span < 2; span += 1) {
          const from = server.usage();
          changes += await audience.change(perSecond, spanSeconds);
          spans.push(usageBetween(from, server.usage()).cpuMs);
        }
        await wait(2 * windowMaxMs);
        const transactions = stubs.transactions - before;
        const windows = Math.floor((performance.now() - startedAt) / windowMs) + 1;
        await audience.stop();
        const [first = 0, second = 0] = spans;
        const measures: Measure[] = [
          {
            name: `${name}: transactions`,
            unit: '',
            value: transactions,
            limit: { what: 'living servers × windows', value: alive * windows },
            bound: { atMost: alive * windows },
            note: `${changes} changes in ${windows} windows`,
          },
          { name: `${name}: at least one each`, unit: '', value: transactions, bound: { atLeast: alive } },
          {
            name: `${name}: CPU of a later span`,
            unit: 'ms',
            value: second,
            limit: { what: 'of the span before', value: first },
            bound: { timesLimit: 1.2 },
          },
        ];
        return measures;
      } finally {
        await client.stop();
        await server.stop();
        await stubs.stop();
      }
    },
  };
}

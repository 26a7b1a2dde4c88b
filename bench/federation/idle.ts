import type { ServerName } from '../../src/matrix/server-name.ts';
import type { Row } from '../../src/storage/contract/commit.ts';
import { writeDatabase } from '../presence/crowd.ts';
import { pinThisProcess } from '../support/cores.ts';
import { usageBetween } from '../support/process-usage.ts';
import type { BenchPart } from '../support/run.ts';
import { findFreePorts, profileOptions, ServerProcess } from '../support/server-process.ts';

const hourMs = 3_600_000;
const rowsPerCommit = 1_000;
/** Until the server has taken up all for whom something waits, ten in a tenth of a second. */
const takeUpMs = 100_000;
const measuredMs = 30_000;

/** A server that knows many others, most of which are gone for good with something waiting for them, and for whom nobody does anything. */
export function idlePart({ known, dead }: { readonly known: number; readonly dead: number }): BenchPart {
  const name = `idle with ${known.toLocaleString('en-GB')} known, ${dead.toLocaleString('en-GB')} dead`;
  return {
    name,
    run: async ({ set }) => {
      pinThisProcess();
      const [port = 0] = await findFreePorts(1);
      const names = Array.from(
        { length: known },
        (_, n) => `127.${10 + Math.floor(n / 40_000)}.${Math.floor(n / 200)}.${1 + (n % 200)}:${port}`,
      );
      const server = await ServerProcess.start({
        config: { federation: { allow_private_addresses: true }, presence: { enabled: true } },
        nodeOptions: set.has('profile') ? profileOptions() : [],
        prepare: (folder) =>
          writeDatabase(folder, async (storage) => {
            const rows = names.flatMap((destination, n) =>
              rowsOf(destination as ServerName, n < dead ? n / dead : undefined),
            );
            for (let from = 0; from < rows.length; from += rowsPerCommit)
              await storage.commit({ rows: rows.slice(from, from + rowsPerCommit) });
          }),
      });
      try {
        await new Promise((resolve) => setTimeout(resolve, takeUpMs));
        const before = server.usage();
        await new Promise((resolve) => setTimeout(resolve, measuredMs));
        const after = server.usage();
        const { share } = usageBetween(before, after);
        return [
          { name: `${name}: CPU`, unit: '%', value: share * 100, bound: { atMost: 1 } },
          { name: `${name}: memory`, unit: 'MiB', value: after.rssMiB },
        ];
      } finally {
        await server.stop();
      }
    },
  };
}

/** Whoever is dead is so for long: they are tried once an hour, at moments spread over it. */
function rowsOf(destination: ServerName, place: number | undefined): Row[] {
  const nowMs = Date.now();
  const waiting: Row = { kind: 'outgoing_edu', destination, edu: { edu_type: 'm.bench', content: {} }, key: null };
  const health = { failingSinceMs: nowMs - 1_000 * hourMs, failures: 100 };
  return place === undefined
    ? [{ kind: 'destination', destination, cursor: 0, failingSinceMs: null, retryAtMs: null, failures: 0 }]
    : [waiting, { kind: 'destination_health', destination, ...health, retryAtMs: Math.floor(nowMs + place * hourMs) }];
}

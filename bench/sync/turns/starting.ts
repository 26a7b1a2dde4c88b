import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { configShape } from '../../../src/app/config/shape.ts';
import { startServer } from '../../../src/app/server.ts';
import { writeDatabase } from '../../presence/crowd.ts';
import type { BenchPart } from '../../support/run.ts';
import { watch } from '../../support/watch.ts';
import { longestTurnMaxMs } from './longest.ts';
import { sizeOf, writeOldServer } from './old-server.ts';

const afterwardsMs = 3_000;

/**
 * The start of a server with a big database, in this process, which has its modules already; and what it still does for its first seconds,
 * when clients and other servers are there.
 */
export const turnsStartingPart: BenchPart = {
  name: 'turns: start',
  run: async ({ set }) => {
    const folder = mkdtempSync(join(tmpdir(), 'lantern-bench-'));
    const size = sizeOf(set);
    const config = configShape.parse({
      server_name: 'bench.test',
      data_dir: join(folder, 'data'),
      signing_key: join(folder, 'signing.key'),
      log: { level: 'fatal' },
      federation: { allow_private_addresses: true },
      listeners: [{ address: '127.0.0.1', port: 0, serves: ['client', 'federation'], tls: false }],
    });
    try {
      // What the first start does once is done.
      await (await startServer(withDatabase(config, join(folder, 'data', 'first.db')))).stop();
      await writeDatabase(folder, (storage) => writeOldServer(storage, 'bench.test', size));
      const started = await watch(() => startServer(withDatabase(config, join(folder, 'data', 'lantern.db'))));
      const afterwards = await watch(() => new Promise((resolve) => setTimeout(resolve, afterwardsMs)));
      const stopped = await watch(() => started.result.stop());
      const bound = { atMost: longestTurnMaxMs };
      const note = `${started.elapsedMs.toFixed(0)} ms in all`;
      return [
        { name: 'start with a big database', unit: 'ms', value: started.longestTurnMs, bound, note },
        { name: 'the first seconds of it', unit: 'ms', value: afterwards.longestTurnMs, bound },
        { name: 'its stop', unit: 'ms', value: stopped.longestTurnMs, bound },
      ];
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
};

function withDatabase<T extends { readonly database: { readonly file: string } }>(config: T, file: string): T {
  return { ...config, database: { ...config.database, file } };
}

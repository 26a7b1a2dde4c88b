import { pinThisProcess } from '../support/cores.ts';
import { LoadClient } from '../support/load-client.ts';
import type { BenchPart } from '../support/run.ts';
import { ServerProcess } from '../support/server-process.ts';
import { medianOf } from '../support/statistics.ts';
import { registerWithRooms } from './rooms-of-user.ts';

const runs = 9;
const lazy = encodeURIComponent(JSON.stringify({ room: { state: { lazy_load_members: true } } }));

/** The first sync of somebody with very many rooms, members loaded lazily. */
export const initialSyncPart: BenchPart = {
  name: 'initial sync',
  run: async ({ set }) => {
    pinThisProcess();
    const rooms = set.get('rooms') ?? 500;
    const server = await ServerProcess.start();
    const client = new LoadClient(server.clientUrl);
    try {
      const token = await registerWithRooms(client, 'alice', rooms);
      const path = `/_matrix/client/v3/sync?timeout=0&filter=${lazy}`;
      const took: number[] = [];
      let bytes = 0;
      for (let run = 0; run < runs + 2; run += 1) {
        const { elapsedMs, text } = await client.request({ method: 'GET', path, token });
        if (run >= 2) took.push(elapsedMs);
        bytes = text.length;
      }
      return [
        {
          name: `initial sync of ${rooms} rooms`,
          unit: 'ms',
          value: medianOf(took),
          bound: { atMost: 300 },
          note: `${(bytes / 1024).toFixed(0)} KiB`,
        },
      ];
    } finally {
      await client.stop();
      await server.stop();
    }
  },
};

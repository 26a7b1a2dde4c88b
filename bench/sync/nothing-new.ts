import { pinThisProcess } from '../support/cores.ts';
import { LoadClient } from '../support/load-client.ts';
import { usageBetween } from '../support/process-usage.ts';
import type { BenchPart } from '../support/run.ts';
import { ServerProcess } from '../support/server-process.ts';
import { registerWithRooms } from './rooms-of-user.ts';

const requests = 1_500;
const rounds = 3;

/** A sync with nothing to tell costs the same whatever the number of rooms: what the CPU says of one room and of very many, in turns. */
export const nothingNewPart: BenchPart = {
  name: 'nothing new',
  run: async ({ set }) => {
    pinThisProcess();
    const rooms = set.get('rooms') ?? 1_000;
    const server = await ServerProcess.start();
    const client = new LoadClient(server.clientUrl);
    try {
      const users = [
        { rooms: 1, token: await registerWithRooms(client, 'few', 1), cpuMs: 0, path: '' },
        { rooms, token: await registerWithRooms(client, 'many', rooms), cpuMs: 0, path: '' },
      ];
      for (const user of users) {
        const first = await client.json({
          method: 'GET',
          path: '/_matrix/client/v3/sync?timeout=0',
          token: user.token,
        });
        user.path = `/_matrix/client/v3/sync?timeout=0&since=${encodeURIComponent(String(first.next_batch))}`;
      }
      for (let round = 0; round <= rounds; round += 1) {
        for (const user of users) {
          const before = server.usage();
          for (let n = 0; n < requests; n += 1) {
            await client.request({ method: 'GET', path: user.path, token: user.token });
          }
          // The first round warms up.
          if (round > 0) user.cpuMs += usageBetween(before, server.usage()).cpuMs;
        }
      }
      const [few = 0, many = 0] = users.map(({ cpuMs }) => (cpuMs * 1_000) / (rounds * requests));
      return [
        { name: 'nothing new, 1 room', unit: 'µs of CPU', value: few },
        {
          name: `nothing new, ${rooms} rooms`,
          unit: 'µs of CPU',
          value: many,
          limit: { what: '1 room', value: few },
          bound: { timesLimit: 1.2 },
        },
      ];
    } finally {
      await client.stop();
      await server.stop();
    }
  },
};

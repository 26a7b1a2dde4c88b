import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import { openSqliteStorage } from '../../src/storage/sqlite/open.ts';
import { RoomBuilder } from '../../test/support/room-builder.ts';
import { pinThisProcess } from '../support/cores.ts';
import { LoadClient } from '../support/load-client.ts';
import type { BenchPart } from '../support/run.ts';
import { ServerProcess } from '../support/server-process.ts';
import { medianOf } from '../support/statistics.ts';

const runs = 60;

/** `/messages` costs the same at the end of a very long history and at its beginning. */
export const deepHistoryPart: BenchPart = {
  name: 'deep history',
  run: async ({ set }) => {
    pinThisProcess();
    const events = set.get('events') ?? 1_000_000;
    let roomId = '';
    const server = await ServerProcess.start({
      prepare: async (folder, serverName) => {
        roomId = await writeHistory(join(folder, 'data', 'lantern.db'), `@alice:${serverName}`, events);
      },
    });
    const client = new LoadClient(server.clientUrl);
    try {
      const { token } = await client.register('alice');
      const messages = `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/messages?limit=50`;
      const timesOf = async (query: string): Promise<number> => {
        const took: number[] = [];
        for (let run = 0; run < runs; run += 1) {
          const { status, text, elapsedMs } = await client.request({ method: 'GET', path: messages + query, token });
          if (status !== 200) throw new Error(text);
          if (run >= runs / 3) took.push(elapsedMs);
        }
        return medianOf(took);
      };
      const atTheEnd = await timesOf('&dir=b');
      const deep = await timesOf('&dir=f');
      return [
        { name: '/messages at the end', unit: 'ms', value: atTheEnd },
        {
          name: `/messages ${events} events deep`,
          unit: 'ms',
          value: deep,
          limit: { what: 'at the end', value: atTheEnd },
          bound: { timesLimit: 1.3 },
        },
      ];
    } finally {
      await client.stop();
      await server.stop();
    }
  },
};

async function writeHistory(file: string, owner: string, events: number): Promise<string> {
  const storage = await openSqliteStorage({ file, clock: systemClock });
  const server = owner.slice(owner.indexOf(':') + 1);
  const room = await RoomBuilder.create(storage, owner, { roomId: `!deep:${server}` });
  for (let n = 0; n < events; n += 1) await room.say(owner, `message ${n}`);
  await storage.stop();
  return room.roomId;
}

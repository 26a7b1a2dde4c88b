import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import type { Storage } from '../../src/storage/contract/storage.ts';
import { openSqliteStorage } from '../../src/storage/sqlite/open.ts';
import { RoomBuilder } from '../../test/support/room-builder.ts';
import { pinThisProcess } from '../support/cores.ts';
import { LoadClient, type LoadRequest } from '../support/load-client.ts';
import type { Measure } from '../support/report.ts';
import type { BenchPart } from '../support/run.ts';
import { ServerProcess } from '../support/server-process.ts';
import { medianOf } from '../support/statistics.ts';

const runs = 40;
const shortHistory = 1_000;
const eventsPerCommit = 500;
const startedAtMs = 1_600_000_000_000;

/** A room, who is in it alone, and one of its events from the middle. */
interface History {
  readonly name: string;
  readonly roomId: string;
  readonly middle: { readonly eventId: string; readonly sentAtMs: number };
}

/** What reads cost in a room with a very long history: the same at its end and at its beginning, and the same as in a short one. */
export const deepHistoryPart: BenchPart = {
  name: 'deep history',
  run: async ({ set }) => {
    pinThisProcess();
    const events = set.get('events') ?? 1_000_000;
    const histories: History[] = [];
    const server = await ServerProcess.start({
      prepare: async (folder, serverName) => {
        const storage = await openSqliteStorage({ file: join(folder, 'data', 'lantern.db'), clock: systemClock });
        histories.push(await writeHistory(storage, { name: 'warm', serverName, events: shortHistory }));
        histories.push(await writeHistory(storage, { name: 'short', serverName, events: shortHistory }));
        histories.push(await writeHistory(storage, { name: 'deep', serverName, events }));
        await storage.stop();
      },
    });
    const client = new LoadClient(server.clientUrl);
    try {
      // The first one warms the server up.
      await readsOf(client, histories[0]);
      const [short, deep] = [await readsOf(client, histories[1]), await readsOf(client, histories[2])];
      const atTheEnd = deep.get('/messages at the end') ?? Number.NaN;
      return [...deep].map(([name, value]): Measure => {
        const isBeginning = name === '/messages at the beginning';
        const limit = isBeginning
          ? { what: 'at the end', value: atTheEnd }
          : { what: `${shortHistory} events`, value: short.get(name) ?? Number.NaN };
        // A part of a millisecond more is what the machine does.
        const bound = isBeginning ? { timesLimit: 1.3 } : { timesLimit: 1.5 };
        return { name: `${name}, ${events} events deep`, unit: 'ms', value, limit, bound };
      });
    } finally {
      await client.stop();
      await server.stop();
    }
  },
};

async function readsOf(client: LoadClient, history: History | undefined): Promise<Map<string, number>> {
  if (!history) throw new Error('there is no history');
  const { userId, token } = await client.register(history.name);
  const v1 = '/_matrix/client/v1/rooms';
  const v3 = '/_matrix/client/v3';
  const room = encodeURIComponent(history.roomId);
  const event = encodeURIComponent(history.middle.eventId);
  const medianMs = async (request: LoadRequest, before?: (run: number) => Promise<unknown>): Promise<number> => {
    const took: number[] = [];
    for (let run = 0; run < runs; run += 1) {
      await before?.(run);
      const { status, text, elapsedMs } = await client.request({ ...request, token });
      if (status !== 200) throw new Error(text);
      if (run >= runs / 3) took.push(elapsedMs);
    }
    return medianOf(took);
  };
  const get = (path: string) => medianMs({ method: 'GET', path });
  // What RoomBuilder wrote has no keys and hashes, so nothing can be sent behind it.
  const changeSomething = (run: number) =>
    client.json({
      method: 'PUT',
      path: `${v3}/user/${encodeURIComponent(userId)}/rooms/${room}/account_data/bench`,
      token,
      body: { run },
    });
  const first = await client.json({ method: 'GET', path: `${v3}/sync?timeout=0`, token });
  return new Map([
    ['/messages at the end', await get(`${v3}/rooms/${room}/messages?limit=50&dir=b`)],
    ['/messages at the beginning', await get(`${v3}/rooms/${room}/messages?limit=50&dir=f`)],
    ['/context in the middle', await get(`${v3}/rooms/${room}/context/${event}?limit=20`)],
    ['/relations in the middle', await get(`${v1}/${room}/relations/${event}?limit=20`)],
    ['/timestamp_to_event', await get(`${v1}/${room}/timestamp_to_event?dir=f&ts=${history.middle.sentAtMs - 1}`)],
    ['an initial sync', await get(`${v3}/sync?timeout=0`)],
    [
      'an incremental sync',
      await medianMs(
        { method: 'GET', path: `${v3}/sync?timeout=0&since=${String(first.next_batch)}` },
        changeSomething,
      ),
    ],
  ]);
}

async function writeHistory(
  storage: Storage,
  { name, serverName, events }: { readonly name: string; readonly serverName: string; readonly events: number },
): Promise<History> {
  const owner = `@${name}:${serverName}`;
  const room = await RoomBuilder.create(storage, owner, { roomId: `!${name}:${serverName}` });
  let middle = { eventId: '', sentAtMs: 0 };
  for (let start = 0; start < events; start += eventsPerCommit) {
    const bodies = Array.from({ length: Math.min(eventsPerCommit, events - start) }, (_, n) => `message ${start + n}`);
    const sentAtMs = startedAtMs + start * 1_000;
    const [eventId = ''] = await room.sayMany(owner, bodies, sentAtMs);
    if (start <= events / 2) middle = { eventId, sentAtMs };
  }
  return { name, roomId: room.roomId, middle };
}

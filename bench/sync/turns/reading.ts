import { writeDatabase } from '../../presence/crowd.ts';
import { pinThisProcess } from '../../support/cores.ts';
import { LoadClient, type LoadRequest } from '../../support/load-client.ts';
import type { Measure } from '../../support/report.ts';
import type { BenchPart } from '../../support/run.ts';
import { profileOptions, ServerProcess } from '../../support/server-process.ts';
import { LongestTurns } from './longest.ts';
import { type OldServer, roomsOfBusy, sizeOf, writeOldServer } from './old-server.ts';

const runs = 3;
const lazy = encodeURIComponent(JSON.stringify({ room: { state: { lazy_load_members: true } } }));

/** What the largest answers do to everybody else: the longest turn of the loop while one of them, or twenty at once, are made. */
export const turnsReadingPart: BenchPart = {
  name: 'turns: large answers',
  run: async ({ set }) => {
    pinThisProcess();
    const size = sizeOf(set);
    let old: OldServer | undefined;
    const server = await ServerProcess.start({
      watchLoop: true,
      // What would be sent to the other servers is no part of an answer.
      config: { federation: { enabled: false } },
      nodeOptions: set.has('profile') ? profileOptions() : [],
      prepare: async (folder, serverName) => {
        old = await writeDatabase(folder, (storage) => writeOldServer(storage, serverName, size));
      },
    });
    const client = new LoadClient(server.clientUrl);
    try {
      if (!old) throw new Error('nothing was written');
      return await measure({ server, client, old, only: set.get('ask') });
    } finally {
      await client.stop();
      await server.stop();
    }
  },
};

interface Running {
  readonly server: ServerProcess;
  readonly client: LoadClient;
  readonly old: OldServer;
  /** The only question that is asked, counted from 1; all where undefined. */
  readonly only: number | undefined;
}

async function measure({ server, client, old, only }: Running): Promise<Measure[]> {
  const turns = new LongestTurns(server, only);
  const longest = (name: string, ask: () => Promise<unknown>) => turns.during(name, ask, { runs });
  const good = async (request: LoadRequest): Promise<string> => {
    const { status, text } = await client.request(request);
    if (status !== 200) throw new Error(`${request.path}: ${text.slice(0, 200)}`);
    return text;
  };
  const v3 = '/_matrix/client/v3';
  const hall = encodeURIComponent(old.hall);
  const [first] = old.busy;
  const token = first?.token ?? '';
  const get = (path: string, by = token) => good({ method: 'GET', path: `${v3}${path}`, token: by });
  const all = (path: string) => Promise.all(old.busy.map((member) => get(path, member.token)));
  const initial = `/sync?timeout=0&filter=${lazy}`;
  await longest(`initial sync of ${roomsOfBusy} rooms`, () => get(initial));
  await longest(`${old.busy.length} of them at once`, () => all(initial));
  await longest('initial sync with all members', () => get('/sync?timeout=0'));
  await longest(`${old.busy.length} of them at once`, () => all('/sync?timeout=0'));
  await longest('full state of a large room', () => get(`/rooms/${hall}/state`));
  await longest('members of a large room', () => get(`/rooms/${hall}/members`));
  await longest('joined members of a large room', () => get(`/rooms/${hall}/joined_members`));
  await longest('/messages, 1,000 of them', () => get(`/rooms/${hall}/messages?dir=b&limit=1000`));
  await longest('/messages that find nothing', () =>
    get(`/rooms/${hall}/messages?dir=b&limit=1000&filter=${encodeURIComponent('{"types":["m.none"]}')}`),
  );
  await longest('/context in a large room', async () => {
    const { chunk } = JSON.parse(await get(`/rooms/${hall}/messages?dir=b&limit=1`));
    return get(`/rooms/${hall}/context/${encodeURIComponent(chunk[0].event_id)}?limit=100`);
  });
  const { next_batch: newest } = JSON.parse(await get(initial));
  const since = encodeURIComponent(String(newest).replace(/^s1_\d+/, `s1_${old.beforeHall}`));
  await longest('a sync behind ten thousand joins', () => get(`${initial}&since=${since}`));
  await longest('a sync of all members behind them', () => get(`/sync?timeout=0&since=${since}`));
  await longest(`${old.busy.length} of them at once`, () => all(`/sync?timeout=0&since=${since}`));
  await longest('search in the directory of users', () =>
    good({ method: 'POST', path: `${v3}/user_directory/search`, token, body: { search_term: 'user', limit: 50 } }),
  );
  return turns.measures;
}

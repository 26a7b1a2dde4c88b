import { pinThisProcess } from '../support/cores.ts';
import { LoadClient } from '../support/load-client.ts';
import { usageBetween } from '../support/process-usage.ts';
import type { BenchPart } from '../support/run.ts';
import { ServerProcess } from '../support/server-process.ts';
import { Audience, wait } from './audience.ts';
import { type Member, writeDatabase, writeMembers, writeRoom } from './crowd.ts';
import { steadyPresence } from './steady.ts';

const shape = { 'offline users': 1_000, 'dead servers': 50, 'rooms not touched': 10, 'events of history': 2_000 };
type Dimension = keyof typeof shape;
const dimensions: readonly Dimension[] = ['offline users', 'dead servers', 'rooms not touched', 'events of history'];
const viewerCount = 100;
const perSecond = 10;
const seconds = 4;
const rounds = 3;

interface World {
  readonly server: ServerProcess;
  readonly client: LoadClient;
  readonly audience: Audience;
  cpuMs: number;
  seen: number;
}

/** What does not matter is doubled, one after the other, and an update costs what it did. All servers stand side by side and take turns. */
export const doubledPart: BenchPart = {
  name: 'doubled',
  run: async () => {
    pinThisProcess();
    const worlds: World[] = [];
    try {
      worlds.push(await startWorld(shape));
      for (const dimension of dimensions)
        worlds.push(await startWorld({ ...shape, [dimension]: 2 * shape[dimension] }));
      for (let round = 0; round <= rounds; round += 1) {
        // The first round warms up.
        for (const world of worlds) await measureRound(world, round > 0);
      }
      const [once = Number.NaN, ...twice] = worlds.map(({ cpuMs, seen }) => (cpuMs * 1_000) / seen);
      return dimensions.map((dimension, n) => ({
        name: `an update seen, ${2 * shape[dimension]} ${dimension}`,
        unit: 'µs of CPU',
        value: twice[n] ?? Number.NaN,
        limit: { what: `${shape[dimension]}`, value: once },
        bound: { timesLimit: 1.2 },
      }));
    } finally {
      for (const { audience, client, server } of worlds) {
        await audience.stop();
        await client.stop();
        await server.stop();
      }
    }
  },
};

async function measureRound(world: World, counts: boolean): Promise<void> {
  const before = { usage: world.server.usage(), seen: world.audience.seen };
  await world.audience.change(perSecond, seconds);
  await wait(300);
  if (!counts) return;
  world.cpuMs += usageBetween(before.usage, world.server.usage()).cpuMs;
  world.seen += world.audience.seen - before.seen;
}

async function startWorld(amounts: Readonly<Record<Dimension, number>>): Promise<World> {
  let subjects: Member[] = [];
  let viewers: Member[] = [];
  const server = await ServerProcess.start({
    config: { presence: steadyPresence },
    prepare: (folder, serverName) =>
      writeDatabase(folder, async (storage) => {
        subjects = await writeMembers(storage, { serverName, name: 'subject', count: 10 });
        viewers = await writeMembers(storage, { serverName, name: 'viewer', count: viewerCount });
        const offline = await writeMembers(storage, { serverName, name: 'offline', count: amounts['offline users'] });
        // Nobody listens at port 1.
        const dead = Array.from({ length: amounts['dead servers'] }, (_, n) => ({
          userId: `@user:127.0.9.${n + 1}:1`,
        }));
        const room = await writeRoom(storage, 'everybody', [...subjects, ...viewers, ...offline, ...dead]);
        const [speaker] = subjects;
        const said = Array.from({ length: amounts['events of history'] }, (_, n) => `said ${n}`);
        if (speaker) await room.sayMany(speaker.userId, said);
        for (let n = 0; n < amounts['rooms not touched']; n += 1) await writeRoom(storage, `other${n}`, viewers);
      }),
  });
  const client = new LoadClient(server.clientUrl);
  const audience = await Audience.start({ client, url: server.clientUrl }, { subjects, viewers });
  await audience.settle(2_000);
  return { server, client, audience, cpuMs: 0, seen: 0 };
}

import { measureBarePoll } from '../support/bare-poll.ts';
import { pinThisProcess } from '../support/cores.ts';
import { LoadClient } from '../support/load-client.ts';
import { usageBetween } from '../support/process-usage.ts';
import type { Measure } from '../support/report.ts';
import type { BenchPart } from '../support/run.ts';
import { profileOptions, ServerProcess } from '../support/server-process.ts';
import { percentileOf } from '../support/statistics.ts';
import { Audience, wait } from './audience.ts';
import { type Member, writeDatabase, writeMembers, writeRoom } from './crowd.ts';
import { steadyPresence } from './steady.ts';

const subjectCount = 10;
const rates = [1, 10, 50];
/** `--set rate=1` measures one of them alone, such as for a profile. */
const ratesOf = (set: ReadonlyMap<string, number>): readonly number[] => {
  const rate = set.get('rate');
  return rate === undefined ? rates : [rate];
};
/** At the first rate, that is. */
const bareTimes = 2;
const busiestMicroseconds = 20;

/** Many viewers of one room see few people change: what each (viewer, update) seen costs, and how late it comes. */
export const fanOutPart: BenchPart = {
  name: 'fan-out',
  run: async ({ set }) => {
    pinThisProcess();
    const viewerCount = set.get('viewers') ?? 500;
    let subjects: Member[] = [];
    let viewers: Member[] = [];
    const nodeOptions = set.has('profile') ? profileOptions() : [];
    const server = await ServerProcess.start({
      config: { presence: steadyPresence },
      nodeOptions,
      prepare: (folder, serverName) =>
        writeDatabase(folder, async (storage) => {
          subjects = await writeMembers(storage, { serverName, name: 'subject', count: subjectCount });
          viewers = await writeMembers(storage, { serverName, name: 'viewer', count: viewerCount });
          await writeRoom(storage, 'everybody', [...subjects, ...viewers]);
        }),
    });
    const client = new LoadClient(server.clientUrl);
    try {
      const beforeOnline = server.usage();
      const audience = await Audience.start({ client, url: server.clientUrl }, { subjects, viewers });
      await audience.change(10, 5);
      await audience.settle(10_000);
      const { cpuMs: onlineMs } = usageBetween(beforeOnline, server.usage());
      const measures: Measure[] = [
        { name: `${viewerCount} viewers come online, warm-up`, unit: 'ms', value: onlineMs },
      ];
      for (const perSecond of ratesOf(set))
        measures.push(
          ...(await measureRate({ server, audience }, perSecond, set.get('seconds') ?? secondsAt(perSecond))),
        );
      await audience.settle(10_000);
      measures.push({
        name: 'viewers with the latest state',
        unit: '',
        value: audience.countUpToDate(),
        bound: { atLeast: viewerCount },
      });
      measures.push({ name: 'memory', unit: 'MiB', value: server.usage().rssMiB });
      const body = audience.sampleAnswer;
      await audience.stop();
      const bare = await measureBarePoll({
        viewers: viewerCount,
        body,
        perSecond: 1,
        seconds: set.get('seconds') ?? 10,
        warmUpAnswers: 20 * viewerCount,
      });
      return measures.map((measure) =>
        measure.name === costName(rates[0] ?? 0)
          ? { ...measure, limit: { what: 'node:http', value: bare }, bound: { timesLimit: bareTimes } }
          : measure,
      );
    } finally {
      await client.stop();
      await server.stop();
    }
  },
};

/** At the lowest rate so little is seen in ten seconds that a mark of the collector, which comes every minute or so, is half of what it costs. */
function secondsAt(perSecond: number): number {
  return perSecond === 1 ? 60 : 10;
}

function costName(perSecond: number): string {
  return `CPU per (viewer, update) seen at ${perSecond}/s`;
}

async function measureRate(
  { server, audience }: { readonly server: ServerProcess; readonly audience: Audience },
  perSecond: number,
  seconds: number,
): Promise<Measure[]> {
  await audience.change(perSecond, 2);
  await wait(300);
  audience.takeDelays();
  const before = { usage: server.usage(), seen: audience.seen, answers: audience.answers };
  const changes = await audience.change(perSecond, seconds);
  // The last answers, and their share of the cost.
  await wait(300);
  const { cpuMs, share } = usageBetween(before.usage, server.usage());
  const seen = audience.seen - before.seen;
  const delays = audience.takeDelays();
  const answers = audience.answers - before.answers;
  return [
    {
      name: costName(perSecond),
      unit: 'µs',
      value: (cpuMs * 1_000) / seen,
      ...(perSecond === 50 ? { bound: { atMost: busiestMicroseconds } } : {}),
      note: `${(seen / changes).toFixed(0)} viewers saw each change, ${(answers / seconds).toFixed(0)} answers a second, ${(share * 100).toFixed(0)} % of a core`,
    },
    {
      name: `p99 from PUT to answer at ${perSecond}/s`,
      unit: 'ms',
      value: delays.length === 0 ? Number.NaN : percentileOf(delays, 0.99),
      ...(perSecond === 10 ? { bound: { atMost: 150 } } : {}),
    },
  ];
}

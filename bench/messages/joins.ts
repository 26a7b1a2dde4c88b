import { pinThisProcess } from '../support/cores.ts';
import { LoadClient, runConcurrently } from '../support/load-client.ts';
import { usageBetween } from '../support/process-usage.ts';
import type { BenchPart } from '../support/run.ts';
import { profileOptions, ServerProcess } from '../support/server-process.ts';
import { medianOf } from '../support/statistics.ts';

/** The first room warms the server up. */
const rooms = 4;
const inFlight = 16;

/** Everybody comes to one room at once; then to the next. */
export const joinsPart: BenchPart = {
  name: 'joins',
  run: async ({ set }) => {
    pinThisProcess();
    const people = set.get('people') ?? 500;
    const server = await ServerProcess.start({
      watchLoop: true,
      nodeOptions: set.has('profile') ? profileOptions() : [],
    });
    const client = new LoadClient(server.clientUrl);
    try {
      const tokens: string[] = [];
      const registering = server.usage();
      await runConcurrently(people, 4, async (n) => {
        tokens[n] = (await client.register(`user${n}`)).token;
      });
      const registered = usageBetween(registering, server.usage());
      const perSecond: number[] = [];
      const cpuMsEach: number[] = [];
      const turns: number[] = [];
      for (let room = 0; room < rooms; room += 1) {
        const created = await client.json({
          method: 'POST',
          path: '/_matrix/client/v3/createRoom',
          token: tokens[0] ?? '',
          body: { preset: 'public_chat' },
        });
        const path = `/_matrix/client/v3/join/${encodeURIComponent(String(created.room_id))}`;
        await server.longestTurn();
        const before = server.usage();
        const startedAt = performance.now();
        await runConcurrently(people - 1, inFlight, (n) =>
          client.json({ method: 'POST', path, token: tokens[n + 1] ?? '', body: {} }),
        );
        perSecond.push(((people - 1) * 1_000) / (performance.now() - startedAt));
        cpuMsEach.push(usageBetween(before, server.usage()).cpuMs / (people - 1));
        turns.push((await server.longestTurn()).oursMs);
      }
      return [
        {
          name: `joins to one room, ${people} people`,
          unit: '/s',
          value: medianOf(perSecond.slice(1)),
          bound: { atLeast: 300 },
          note: `${perSecond[0]?.toFixed(0)} /s in the first room of a server just started`,
        },
        {
          name: 'a join',
          unit: 'ms of CPU',
          value: medianOf(cpuMsEach.slice(1)),
          note: `${cpuMsEach[0]?.toFixed(2)} in the first room`,
        },
        {
          name: 'the longest turn of the loop while they join',
          unit: 'ms',
          value: Math.max(...turns.slice(1)),
          bound: { atMost: 50 },
          note: `${turns[0]?.toFixed(0)} ms in the first room`,
        },
        { name: 'a registration, its password hash included', unit: 'ms of CPU', value: registered.cpuMs / people },
      ];
    } finally {
      await client.stop();
      await server.stop();
    }
  },
};

import { pinThisProcess } from '../support/cores.ts';
import { LoadClient, runConcurrently } from '../support/load-client.ts';
import { usageBetween } from '../support/process-usage.ts';
import type { BenchPart } from '../support/run.ts';
import { ServerProcess } from '../support/server-process.ts';

/** Everybody comes to one room at once. */
export const joinsPart: BenchPart = {
  name: 'joins',
  run: async ({ set }) => {
    pinThisProcess();
    const people = set.get('people') ?? 500;
    const server = await ServerProcess.start();
    const client = new LoadClient(server.clientUrl);
    try {
      const tokens: string[] = [];
      const registering = server.usage();
      await runConcurrently(people, 4, async (n) => {
        tokens[n] = (await client.register(`user${n}`)).token;
      });
      const registered = usageBetween(registering, server.usage());
      const created = await client.json({
        method: 'POST',
        path: '/_matrix/client/v3/createRoom',
        token: tokens[0] ?? '',
        body: { preset: 'public_chat' },
      });
      const path = `/_matrix/client/v3/join/${encodeURIComponent(String(created.room_id))}`;
      const before = server.usage();
      const startedAt = performance.now();
      await runConcurrently(people - 1, 16, (n) =>
        client.json({ method: 'POST', path, token: tokens[n + 1] ?? '', body: {} }),
      );
      const elapsed = (performance.now() - startedAt) / 1_000;
      return [
        {
          name: `joins to one room, ${people} people`,
          unit: '/s',
          value: (people - 1) / elapsed,
          bound: { atLeast: 300 },
          note: `${(usageBetween(before, server.usage()).cpuMs / (people - 1)).toFixed(1)} ms of CPU each`,
        },
        { name: 'a registration, its password hash included', unit: 'ms of CPU', value: registered.cpuMs / people },
      ];
    } finally {
      await client.stop();
      await server.stop();
    }
  },
};

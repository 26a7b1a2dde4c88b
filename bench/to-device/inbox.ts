import { pinThisProcess } from '../support/cores.ts';
import { LoadClient, runConcurrently } from '../support/load-client.ts';
import { usageBetween } from '../support/process-usage.ts';
import type { BenchPart } from '../support/run.ts';
import { ServerProcess } from '../support/server-process.ts';

const messages = 10_000;
const perRequest = 100;
const cipher = 'x'.repeat(800);

/** A hundred devices of one user each get a hundred messages while nobody polls, a whole request at a time; then one of them collects its own. */
export const inboxPart: BenchPart = {
  name: 'inbox',
  run: async () => {
    pinThisProcess();
    const server = await ServerProcess.start({ config: { presence: { enabled: false } } });
    try {
      const client = new LoadClient(server.clientUrl);
      const users: { userId: string; token: string }[] = [];
      await runConcurrently(perRequest, 4, async (n) => {
        users[n] = await client.register(`user${n}`);
      });
      const token = users[0]?.token ?? '';
      const before = server.usage();
      for (let sent = 0; sent < messages; sent += perRequest) {
        const content = { number: sent, ciphertext: cipher };
        const to = Object.fromEntries(users.map(({ userId }) => [userId, { '*': content }]));
        const path = `/_matrix/client/v3/sendToDevice/m.room.encrypted/t${sent}`;
        await client.json({ method: 'PUT', path, token, body: { messages: to } });
      }
      const sending = usageBetween(before, server.usage());
      const beforeReading = server.usage();
      let [got, answers, since] = [0, 0, ''];
      for (const { token: reader } of users) {
        since = '';
        for (;;) {
          const path = `/_matrix/client/v3/sync?timeout=0${since === '' ? '' : `&since=${since}`}`;
          const { text } = await client.request({ method: 'GET', path, token: reader });
          const told = text.split('"ciphertext"').length - 1;
          got += told;
          answers += 1;
          since = /"next_batch":"([^"]+)"/.exec(text)?.[1] ?? '';
          if (told === 0) break;
        }
      }
      const reading = usageBetween(beforeReading, server.usage());
      await client.stop();
      return [
        { name: 'CPU a message, 100 at once', unit: 'ms', value: sending.cpuMs / messages, bound: { atMost: 0.2 } },
        { name: 'CPU an answer with 100', unit: 'ms', value: reading.cpuMs / answers, bound: { atMost: 10 } },
        { name: 'collected once', unit: 'of 1', value: 1 - Math.abs(messages - got) / messages, bound: { atLeast: 1 } },
      ];
    } finally {
      await server.stop();
    }
  },
};

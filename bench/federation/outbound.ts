import { systemClock } from '../../src/base/clock.ts';
import { HostileServer } from '../../test/support/hostile-server.ts';
import { StubRoom } from '../../test/support/stub-room.ts';
import { pinThisProcess } from '../support/cores.ts';
import { LoadClient, runConcurrently } from '../support/load-client.ts';
import { usageBetween } from '../support/process-usage.ts';
import type { Measure } from '../support/report.ts';
import type { BenchPart } from '../support/run.ts';
import { profileOptions, ServerProcess } from '../support/server-process.ts';
import { listenWithTls } from './listen.ts';

interface Load {
  readonly servers: number;
  /** Fewer than would make a server that is behind catch up with the newest alone. */
  readonly messages: number;
  readonly perSecondMin: number;
}

/** At work at once, as many users would be. */
const inFlight = 10;

/** Messages of a user of ours in a room with other servers: accepted, signed, stored, and delivered to each. */
export function outboundPart({ servers, messages, perSecondMin }: Load): BenchPart {
  const name = `outbound to ${servers} server${servers === 1 ? '' : 's'}`;
  return {
    name,
    run: async ({ set }) => {
      pinThisProcess();
      const server = await ServerProcess.start({
        config: {
          presence: { enabled: false },
          federation: { allow_private_addresses: true, ca_file: 'authority.crt' },
        },
        nodeOptions: set.has('profile') ? profileOptions() : [],
        prepare: (folder) => listenWithTls(folder),
      });
      const client = new LoadClient(server.clientUrl);
      const { token } = await client.register('alice');
      const create = {
        method: 'POST',
        path: '/_matrix/client/v3/createRoom',
        token,
        body: { preset: 'public_chat' },
      } as const;
      const roomId = String((await client.json(create)).room_id);
      let [arrived, transactions, said] = [0, 0, 0];
      const stubs: HostileServer[] = [];
      for (let n = 0; n < servers; n += 1) {
        const stub = await HostileServer.start(Date.now());
        stubs.push(stub);
        stub.on('send', ({ body }) => {
          transactions += 1;
          arrived += body.pdus.filter(({ type }: { type: string }) => type === 'm.room.message').length;
          return { pdus: {} };
        });
        const through = { name: server.serverName, clock: systemClock };
        await StubRoom.join(stub, through, roomId, stub.user('listener'));
      }
      const say = async (): Promise<void> => {
        said += 1;
        const path = `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/send/m.room.message/${said}`;
        await client.json({ method: 'PUT', path, token, body: { msgtype: 'm.text', body: `message ${said}` } });
      };
      const delivered = async (): Promise<void> => {
        const endsAt = performance.now() + 60_000;
        while (arrived < said * servers) {
          if (performance.now() > endsAt) throw new Error(`${arrived} of ${said * servers} copies arrived`);
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      };
      try {
        // Connections are opened, code is compiled.
        await runConcurrently(Math.min(100, messages / 4), inFlight, say);
        await delivered();
        const before = server.usage();
        await runConcurrently(messages, inFlight, say);
        const accepted = server.usage();
        await delivered();
        const after = server.usage();
        const { cpuMs } = usageBetween(before, after);
        const seconds = (after.atMs - before.atMs) / 1_000;
        const copies = messages * servers;
        const measures: Measure[] = [
          {
            name: `${name}: messages delivered everywhere`,
            unit: '/s',
            value: messages / seconds,
            bound: { atLeast: perSecondMin },
            note: `${(messages / ((accepted.atMs - before.atMs) / 1_000)).toFixed(0)} accepted a second; ${transactions} transactions`,
          },
          { name: `${name}: CPU a copy`, unit: 'µs', value: (cpuMs * 1_000) / copies },
        ];
        return measures;
      } finally {
        await client.stop();
        await server.stop();
        for (const stub of stubs) await stub.stop();
      }
    },
  };
}

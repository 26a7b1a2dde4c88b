import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../src/base/clock.ts';
import { canonicalJson } from '../../src/base/json/canonical-json.ts';
import { transactionPdusMax } from '../../src/matrix/edu.ts';
import type { ServerName } from '../../src/matrix/server-name.ts';
import { buildAuthorization } from '../../src/signing/request-auth.ts';
import { HostileServer } from '../../test/support/hostile-server.ts';
import { StubRoom } from '../../test/support/stub-room.ts';
import { pinned, pinThisProcess, serverCore } from '../support/cores.ts';
import { LoadClient } from '../support/load-client.ts';
import { usageBetween } from '../support/process-usage.ts';
import type { Measure } from '../support/report.ts';
import type { BenchPart } from '../support/run.ts';
import { findFreePorts, profileOptions, ServerProcess } from '../support/server-process.ts';
import { listenWithTls } from './listen.ts';

interface Load {
  /** Servers, each with a user in a room of its own. */
  readonly origins: number;
  /** Full ones, that count; each server has one under way at a time. */
  readonly transactionsEach: number;
}

/** Messages of other servers: verified, judged, stored, and shown to the user of ours who is in the room. */
export function inboundPart(load: Load): BenchPart {
  const name = `inbound from ${load.origins} server${load.origins === 1 ? '' : 's'}`;
  return {
    name,
    run: async ({ set }) => {
      pinThisProcess();
      const bareBefore = bareRates();
      const [plainPort = 0] = await findFreePorts(1);
      const server = await ServerProcess.start({
        config: {
          presence: { enabled: false },
          federation: { allow_private_addresses: true, ca_file: 'authority.crt' },
        },
        nodeOptions: set.has('profile') ? profileOptions() : [],
        prepare: (folder) => listenWithTls(folder, plainPort),
      });
      const origins: HostileServer[] = [];
      const client = new LoadClient(server.clientUrl);
      const federation = new LoadClient(`http://127.0.0.1:${plainPort}`);
      try {
        const { token } = await client.register('alice');
        const senders: Sender[] = [];
        for (let n = 0; n < load.origins; n += 1) {
          const stub = await HostileServer.start(Date.now());
          origins.push(stub);
          const body = { preset: 'public_chat' };
          const { room_id: roomId } = await client.json({
            method: 'POST',
            path: '/_matrix/client/v3/createRoom',
            token,
            body,
          });
          const through = { name: server.serverName, clock: systemClock };
          senders.push(new Sender(stub, await StubRoom.join(stub, through, String(roomId), stub.user('speaker'))));
        }
        const to = server.serverName as ServerName;
        // Code is compiled, which takes as much again beside the first thousands of PDUs; caches fill.
        const warmUp = Math.max(2, Math.ceil(load.transactionsEach / 2));
        await sendAll(
          federation,
          senders,
          senders.map((sender) => sender.prepare(warmUp, to)),
        );
        const prepared = senders.map((sender) => sender.prepare(load.transactionsEach, to));
        const before = server.usage();
        await sendAll(federation, senders, prepared);
        const after = server.usage();
        const pdus = load.origins * load.transactionsEach * transactionPdusMax;
        const { cpuMs } = usageBetween(before, after);
        const bareAfter = bareRates();
        const bare = (bareBefore.byNode + bareAfter.byNode) / 2;
        const byOurs = (bareBefore.byOurs + bareAfter.byOurs) / 2;
        const measure: Measure = {
          name: `${name}: PDUs`,
          unit: '/s of CPU',
          value: (pdus * 1_000) / cpuMs,
          limit: { what: 'node:crypto verifies', value: bare },
          bound: { shareOfLimit: 0.5 },
          note:
            `${pdus} PDUs, ${((pdus * 1_000) / (after.atMs - before.atMs)).toFixed(0)} a second of the clock; ` +
            `the server verifies with ${bareAfter.ours}, bare ${byOurs.toFixed(0)} /s`,
        };
        return [measure];
      } finally {
        await client.stop();
        await federation.stop();
        await server.stop();
        for (const origin of origins) await origin.stop();
      }
    },
  };
}

interface Prepared {
  readonly path: string;
  readonly body: string;
  readonly authorization: string;
}

/** Signs beforehand what it sends, so that the load costs little while it counts. */
class Sender {
  readonly #stub: HostileServer;
  readonly #room: StubRoom;
  #count = 0;

  constructor(stub: HostileServer, room: StubRoom) {
    this.#stub = stub;
    this.#room = room;
  }

  prepare(transactions: number, destination: ServerName): Prepared[] {
    return Array.from({ length: transactions }, () => {
      this.#count += 1;
      const pdus = Array.from({ length: transactionPdusMax }, (_, n) => this.#say(n));
      const content = { origin: this.#stub.name, origin_server_ts: Date.now(), pdus };
      const path = `/_matrix/federation/v1/send/${this.#count}`;
      const signed = { method: 'PUT', uri: path, origin: this.#stub.name, destination, content };
      return { path, body: canonicalJson(content), authorization: buildAuthorization(signed, this.#stub.signer) };
    });
  }

  #say(n: number) {
    const text = `message ${this.#count} ${n}, as long as such messages are on the average in a busy room`;
    return this.#room.say(this.#stub.user('speaker'), text).pdu;
  }
}

async function sendAll(client: LoadClient, senders: readonly Sender[], prepared: readonly Prepared[][]): Promise<void> {
  await Promise.all(
    senders.map(async (_, index) => {
      for (const { path, body, authorization } of prepared[index] ?? []) {
        const answer = await client.json({ method: 'PUT', path, body, headers: { authorization } });
        if (JSON.stringify(answer).includes('"error"')) throw new Error(`a PDU was refused: ${JSON.stringify(answer)}`);
      }
    }),
  );
}

/** Verifications a second of CPU, on the core that the server has: by node:crypto, and by what the server verifies with. */
function bareRates(): { byNode: number; byOurs: number; ours: string } {
  const program = fileURLToPath(new URL('bare-verify.js', import.meta.url));
  const [command = '', ...args] = pinned([process.execPath, program], serverCore);
  return JSON.parse(execFileSync(command, args, { encoding: 'utf8' }));
}

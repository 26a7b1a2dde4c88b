import { silentLog } from '../../src/base/log.ts';
import type { DestinationHealth } from '../../src/federation-out/destination-health.ts';
import type { EduSource } from '../../src/federation-out/edu-source.ts';
import { FederationError } from '../../src/federation-out/requests-contract.ts';
import { createSender } from '../../src/federation-out/sender.ts';
import type { Edu } from '../../src/matrix/edu.ts';
import type { JsonObject } from '../../src/matrix/pdu.ts';
import type { ServerName } from '../../src/matrix/server-name.ts';
import { ManualClock } from './manual-clock.ts';
import { OutgoingLog } from './outgoing-log.ts';
import { unjitteredRandom } from './random.ts';

export const here = 'here.test' as ServerName;
export const there = 'there.test' as ServerName;
export const away = 'away.test' as ServerName;

export interface Sent {
  server: ServerName;
  id: string;
  text: string;
  pdus: string[];
  edus: Edu[];
}

export const unreachable = () => new FederationError('unreachable', 'connection refused');
export const refusedWith = (status: number, body: JsonObject = {}) =>
  new FederationError('refused', 'no', status, body);

/** Back-off of a minute for whoever did not answer. */
class FakeHealth implements Pick<DestinationHealth, 'mayTry' | 'find' | 'markReachable' | 'onBack'> {
  readonly retryAtMs = new Map<ServerName, number>();
  #listener: (destination: ServerName) => void = () => {};
  readonly #clock: ManualClock;
  constructor(clock: ManualClock) {
    this.#clock = clock;
  }
  fail(server: ServerName): void {
    this.retryAtMs.set(server, this.#clock.now() + 60_000);
  }
  mayTry(server: ServerName): boolean {
    return (this.retryAtMs.get(server) ?? 0) <= this.#clock.now();
  }
  find(server: ServerName) {
    const retryAtMs = this.retryAtMs.get(server);
    return retryAtMs === undefined ? undefined : { failingSinceMs: 0, retryAtMs, failures: 1 };
  }
  markReachable(server: ServerName): void {
    if (this.retryAtMs.delete(server)) this.#listener(server);
  }
  onBack(listener: (destination: ServerName) => void): void {
    this.#listener = listener;
  }
}

/** What the other servers received; survives a restart of ours. `answer` decides the fate of an attempt. */
export class Network {
  readonly attempts: Sent[] = [];
  /** Answered 200, each id once, as a receiver that remembers ids sees it. */
  readonly received = new Map<string, Sent>();
  answer: (sent: Sent) => Promise<{ pdus: JsonObject }> | { pdus: JsonObject } = () => ({ pdus: {} });

  async send(server: ServerName, id: string, text: string): Promise<{ pdus: JsonObject }> {
    const body = JSON.parse(text) as { pdus: { id: string }[]; edus?: Edu[] };
    const sent = { server, id, text, pdus: body.pdus.map((pdu) => pdu.id), edus: body.edus ?? [] };
    this.attempts.push(sent);
    const answer = await this.answer(sent);
    if (!this.received.has(id)) this.received.set(id, sent);
    return answer;
  }

  pdusReceived(server: ServerName = there): string[] {
    return [...this.received.values()].filter((sent) => sent.server === server).flatMap(({ pdus }) => pdus);
  }

  edusReceived(): Edu[] {
    return [...this.received.values()].flatMap(({ edus }) => edus);
  }
}

export function setUpSender(storage = new OutgoingLog(), network = new Network(), clock = new ManualClock()) {
  const health = new FakeHealth(clock);
  const skipped = { count: 0 };
  const sender = createSender({
    serverName: here,
    storage: { outgoing: storage.outgoing, events: storage.events, commit: (batch) => storage.commit(batch) },
    requests: {
      sendTransaction: async (server, id, { text }) => {
        try {
          const answer = await network.send(server, id, text);
          health.markReachable(server);
          return answer;
        } catch (err) {
          if (err instanceof FederationError && err.outcome === 'unreachable') health.fail(server);
          throw err;
        }
      },
    },
    health,
    clock,
    random: unjitteredRandom,
    log: silentLog,
    skipped: {
      add: () => {
        skipped.count += 1;
      },
    },
  });
  return { storage, network, clock, health, sender, skipped };
}

/** A source with numbered EDUs that notes what became of them. */
export class FakeSource implements EduSource {
  readonly name: string;
  readonly pending: Edu[] = [];
  readonly fates: string[] = [];
  constructor(name = 'm.presence') {
    this.name = name;
  }
  add(count: number): void {
    for (let index = 0; index < count; index += 1) {
      this.pending.push({ edu_type: this.name, content: { n: this.pending.length } });
    }
  }
  hasPending(): boolean {
    return this.pending.length > 0;
  }
  async take(_destination: ServerName, max: number) {
    const edus = this.pending.slice(0, max);
    return {
      edus,
      more: this.pending.length > max,
      accepted: () => {
        this.pending.splice(0, edus.length);
        this.fates.push(`accepted ${edus.length}`);
      },
      refused: () => {
        this.fates.push(`refused ${edus.length}`);
      },
    };
  }
}

export const receipt = (n: number): Edu => ({ edu_type: 'm.receipt', content: { n } });

import type { Clock } from '../../base/clock.ts';
import type { Background } from '../../base/tasks/background.ts';
import { Sweeper } from '../../base/tasks/sweeper.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import type { Storage } from '../../storage/contract/storage.ts';
import type { UnawareServers } from '../settings.ts';

/** "A server is aware for 7 days after it last sent the field." */
const awareForMs = 7 * 86_400_000;
/** The hour of a known server is written at most this often. */
const writeEveryMs = 3_600_000;
/** Servers that are remembered; beyond it one that is new counts as unaware, which shares less. */
const serversMax = 50_000;

export interface AwarenessDeps {
  storage: Pick<Storage, 'commit'> & { presence: Pick<Storage['presence'], 'listAwareServers'> };
  clock: Clock;
  background: Background;
  settings: { readonly unawareServers: UnawareServers };
  /** A server turned aware, or is not known to be so any more. What follows from it is durable when this resolves. */
  onTurned(server: ServerName, turned: 'aware' | 'lapsed'): Promise<void>;
}

interface Known {
  /** Epoch milliseconds. */
  seenAtMs: number;
  writtenAtMs: number;
}

/**
 * Which servers honour `allowed_recipients`: those that send it themselves. Nobody is asked. A courtesy, not a proof: a server
 * that lies about it could as well show everybody what it gets.
 */
export class Awareness {
  readonly #deps: AwarenessDeps;
  readonly #known = new Map<ServerName, Known>();
  readonly #lapses: Sweeper<ServerName>;

  constructor(deps: AwarenessDeps) {
    this.#deps = deps;
    this.#lapses = new Sweeper({ clock: deps.clock, onDue: (server) => this.#look(server) });
  }

  async load(): Promise<void> {
    // Never in the time to come: the machine's clock may have been set back since.
    for (const { server, seenAtMs } of await this.#deps.storage.presence.listAwareServers())
      this.#known.set(server, { seenAtMs: Math.min(seenAtMs, this.#deps.clock.now()), writtenAtMs: seenAtMs });
  }

  /** To be called when everything is loaded: what lapsed while there was no process has its consequences now. */
  async start(): Promise<void> {
    for (const server of [...this.#known.keys()]) {
      if (this.isAware(server)) this.#watch(server);
      else await this.#forget(server);
    }
  }

  stop(): void {
    this.#lapses.stop();
  }

  isAware(server: ServerName): boolean {
    const known = this.#known.get(server);
    return known !== undefined && known.seenAtMs + awareForMs > this.#deps.clock.now();
  }

  /** What may be sent to the server of subjects whom not everybody there may see. */
  stanceTowards(server: ServerName): UnawareServers {
    const { unawareServers } = this.#deps.settings;
    return unawareServers === 'send' || this.isAware(server) ? 'send' : unawareServers;
  }

  /** The server sent the field. */
  saw(server: ServerName): void {
    const nowMs = this.#deps.clock.now();
    const wasAware = this.isAware(server);
    const known = this.#known.get(server) ?? { seenAtMs: 0, writtenAtMs: 0 };
    if (!this.#known.has(server) && this.#known.size >= serversMax) return;
    known.seenAtMs = nowMs;
    this.#known.set(server, known);
    this.#watch(server);
    if (wasAware && nowMs - known.writtenAtMs < writeEveryMs) return;
    known.writtenAtMs = nowMs;
    this.#deps.background.run('remember a server that knows allowed_recipients', async () => {
      await this.#deps.storage.commit({ rows: [{ kind: 'presence_aware_server', server, seenAtMs: nowMs }] });
      if (!wasAware) await this.#deps.onTurned(server, 'aware');
    });
  }

  #watch(server: ServerName): void {
    const { clock } = this.#deps;
    const left = (this.#known.get(server)?.seenAtMs ?? 0) + awareForMs - clock.now();
    this.#lapses.set(server, clock.monotonic() + left);
  }

  #look(server: ServerName): void {
    // The hour of the machine may have been set meanwhile.
    if (this.isAware(server)) this.#watch(server);
    else this.#deps.background.run('a server that is not known to be aware any more', () => this.#forget(server));
  }

  /** The row goes last: after a crash in between, the next start does it again. */
  async #forget(server: ServerName): Promise<void> {
    await this.#deps.onTurned(server, 'lapsed');
    if (this.isAware(server)) return;
    this.#known.delete(server);
    await this.#deps.storage.commit({ rows: [{ kind: 'presence_aware_server', server, seenAtMs: null }] });
  }
}

import { LRUCache } from 'lru-cache';
import { assert } from '../base/assert.ts';
import type { Clock } from '../base/clock.ts';
import type { Dns, ServiceRecord } from '../base/network/dns.ts';
import type { OutgoingHttp } from '../base/network/outgoing-http.ts';
import type { Random } from '../base/random.ts';
import { parseServerName, type ServerName } from '../matrix/server-name.ts';
import { WellKnown } from './well-known.ts';

/** Where to send what is meant for a server, and how to know that it is the right one. */
export interface ResolvedServer {
  /** The value of the `Host` header. */
  hostHeader: string;
  /** The certificate must be valid for this name or IP address; never the target of an SRV record. */
  certificateName: string;
  /** In the order in which they are to be tried; at least one. Hosts are looked up when they are connected to. */
  targets: { host: string; port: number }[];
}

/** "Resolving server names" of the server-server API. Never fails: the last step needs nobody's answer. */
export interface Discovery {
  resolve(server: ServerName): Promise<ResolvedServer>;
}

export interface DiscoveryDeps {
  http: OutgoingHttp;
  dns: Dns;
  clock: Clock;
  random: Random;
}

const defaultPort = 8448;
const minuteMs = 60_000;
/** Node cannot tell the time to live of SRV records. */
const foundServicesMs = 15 * minuteMs;
const noServicesMs = 5 * minuteMs;
/** When the name servers did not answer; doubling up to what is kept when they did. */
const unknownServicesMs = minuteMs;
const cacheMax = 10_000;
const targetsMax = 4;

interface Services {
  targets: { host: string; port: number }[];
  keepMs: number;
  answered: boolean;
}

interface KeptServices {
  targets: Services['targets'];
  untilMs: number;
  /** In a row. */
  failures: number;
}

export function createDiscovery(deps: DiscoveryDeps): Discovery {
  return new ServerDiscovery(deps);
}

class ServerDiscovery implements Discovery {
  readonly #deps: DiscoveryDeps;
  readonly #wellKnown: WellKnown;
  readonly #services = new LRUCache<string, KeptServices>({ max: cacheMax });
  readonly #underWay = new Map<ServerName, Promise<ResolvedServer>>();

  constructor(deps: DiscoveryDeps) {
    this.#deps = deps;
    this.#wellKnown = new WellKnown(deps);
  }

  resolve(server: ServerName): Promise<ResolvedServer> {
    const underWay = this.#underWay.get(server);
    if (underWay !== undefined) return underWay;
    const resolving = this.#resolve(server).finally(() => this.#underWay.delete(server));
    this.#underWay.set(server, resolving);
    return resolving;
  }

  async #resolve(server: ServerName): Promise<ResolvedServer> {
    // 1. and 2.: an IP literal, or an explicit port
    const direct = this.#resolveDirectly(server);
    if (direct) return direct;
    // 3. "a regular HTTPS request is made to https://<hostname>/.well-known/matrix/server"
    const delegated = await this.#wellKnown.find(server);
    // 4. to 6. "If the /.well-known request resulted in an error response"
    if (delegated === undefined) return this.#resolveByServices(server);
    // 3.1, 3.2 and 3.3 to 3.5: the same again, with the delegated name in every place
    return this.#resolveDirectly(delegated) ?? this.#resolveByServices(delegated);
  }

  #resolveDirectly(name: ServerName): ResolvedServer | undefined {
    const parts = parseServerName(name);
    assert(parts, 'a ServerName was parsed before');
    if (parts.kind === 'dns' && parts.port === undefined) return undefined;
    return {
      hostHeader: name,
      certificateName: parts.host,
      targets: [{ host: parts.host, port: parts.port ?? defaultPort }],
    };
  }

  async #resolveByServices(hostname: ServerName): Promise<ResolvedServer> {
    const targets = await this.#findServices(hostname);
    return {
      hostHeader: hostname,
      certificateName: hostname,
      // 3.5 and 6. "using port 8448"
      targets: targets.length > 0 ? targets : [{ host: hostname, port: defaultPort }],
    };
  }

  async #findServices(hostname: ServerName): Promise<Services['targets']> {
    const now = this.#deps.clock.monotonic();
    const before = this.#services.get(hostname);
    if (before && before.untilMs > now) return before.targets;
    // 3.3 and 4.; then, deprecated, 3.4 and 5.
    const [current, deprecated] = await Promise.all([
      this.#lookUp(`_matrix-fed._tcp.${hostname}`),
      this.#lookUp(`_matrix._tcp.${hostname}`),
    ]);
    const { targets, keepMs } = current.targets.length > 0 ? current : deprecated;
    const failures = current.answered && deprecated.answered ? 0 : (before?.failures ?? 0) + 1;
    const retryMs = unknownServicesMs * 2 ** Math.min(failures - 1, 4);
    const untilMs = now + (targets.length > 0 || failures === 0 ? keepMs : Math.min(retryMs, foundServicesMs));
    this.#services.set(hostname, { targets, untilMs, failures });
    return targets;
  }

  async #lookUp(name: string): Promise<Services> {
    try {
      const records = await this.#deps.dns.listServices(name);
      const targets = inOrder(records, this.#deps.random).map(({ host, port }) => ({ host, port }));
      const keepMs = targets.length > 0 ? foundServicesMs : noServicesMs;
      return { targets: targets.slice(0, targetsMax), keepMs, answered: true };
    } catch {
      return { targets: [], keepMs: 0, answered: false };
    }
  }
}

/** RFC 2782: by priority, and among equals by chance in proportion to the weight. */
function inOrder(records: readonly ServiceRecord[], random: Random): ServiceRecord[] {
  return records
    .map((record) => ({ record, draw: Math.log(1 - random.fraction()) / (record.weight + 0.01) }))
    .sort((left, right) => left.record.priority - right.record.priority || right.draw - left.draw)
    .map(({ record }) => record);
}

import { lookup, Resolver } from 'node:dns/promises';

export interface Address {
  address: string;
  family: 4 | 6;
}

export interface ServiceRecord {
  /** Where the service is; `.` is left out: a lone dot says that there is no such service. */
  host: string;
  port: number;
  priority: number;
  weight: number;
}

/** Looking up names, as a dependency. Both reject when nobody answers. */
export interface Dns {
  /** A, AAAA and the machine's own table, aliases followed; empty when there is no such name. */
  listAddresses(host: string): Promise<Address[]>;
  /** SRV records, unordered; empty when there are none. */
  listServices(name: string): Promise<ServiceRecord[]>;
}

const resolver = new Resolver({ timeout: 2_000, tries: 2 });

/** The machine's resolver. The name of a service is given as it is, without search domains. */
export const systemDns: Dns = {
  async listAddresses(host) {
    const found = await lookup(host, { all: true }).catch(emptyWhenMissing);
    return found.map(({ address, family }) => ({ address, family: family === 6 ? 6 : 4 }));
  },
  async listServices(name) {
    const found = await resolver.resolveSrv(name).catch(emptyWhenMissing);
    return found
      .map((record) => ({
        host: record.name.replace(/\.$/, ''),
        port: record.port,
        priority: record.priority,
        weight: record.weight,
      }))
      .filter((record) => record.host !== '');
  },
};

function emptyWhenMissing(error: unknown): [] {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOTFOUND' || code === 'ENODATA') return [];
  throw error;
}

/** A container as the others of its network see it. */
export interface Neighbour {
  readonly aliases: readonly string[];
  readonly address: string;
}

/** A container that gets an /etc/hosts of its own. */
export interface HostsOwner extends Neighbour {
  /** Further names; the address `host-gateway` is the machine itself. */
  readonly extraHosts: ReadonlyMap<string, string>;
}

/**
 * The /etc/hosts of one container: the names of its network's members (oldest first), its further names, and what the
 * machine's own file says. A name that several have means the newest of them, except to those that have it themselves.
 */
export function hostsFor(
  owner: HostsOwner,
  members: readonly Neighbour[],
  machine: { hosts: string; gateway: string },
): string {
  const addresses = new Map<string, string>();
  for (const { aliases, address } of [...members, owner]) {
    for (const alias of aliases) addresses.set(alias, address);
  }
  for (const [name, address] of owner.extraHosts) {
    addresses.set(name, address === 'host-gateway' ? machine.gateway : address);
  }
  return [...addresses].map(([name, address]) => `${address} ${name}\n`).join('') + machine.hosts;
}

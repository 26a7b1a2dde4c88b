/** `hostname[:port]` as the specification's grammar has it (appendices, "Server Name"). Compared byte by byte. */
export type ServerName = string & { readonly __brand: 'ServerName' };

export interface ServerNameParts {
  /** A DNS name, an IPv4 address, or an IPv6 address without its brackets. */
  host: string;
  kind: 'dns' | 'ipv4' | 'ipv6';
  port: number | undefined;
}

const serverNameBytesMax = 255;
const ipv4 = /^(?:\d{1,3}\.){3}\d{1,3}$/;
const dnsName = /^[A-Za-z0-9.-]+$/;

/** Undefined when `value` does not fit the grammar. Parsed by hand: a URL parser accepts and rewrites far too much. */
export function parseServerName(value: unknown): ServerNameParts | undefined {
  if (typeof value !== 'string' || value.length === 0 || value.length > serverNameBytesMax) return undefined;
  if (value.startsWith('[')) {
    const match = /^\[([0-9A-Fa-f:.]{2,45})\](?::(\d{1,5}))?$/.exec(value);
    if (!match?.[1]) return undefined;
    return withPort(match[1], 'ipv6', match[2]);
  }
  const colon = value.indexOf(':');
  const host = colon === -1 ? value : value.slice(0, colon);
  const port = colon === -1 ? undefined : value.slice(colon + 1);
  if (!dnsName.test(host)) return undefined;
  if (port !== undefined && !/^\d{1,5}$/.test(port)) return undefined;
  return withPort(host, ipv4.test(host) ? 'ipv4' : 'dns', port);
}

function withPort(host: string, kind: ServerNameParts['kind'], port: string | undefined): ServerNameParts | undefined {
  if (port === undefined) return { host, kind, port: undefined };
  const number = Number(port);
  return number > 65_535 ? undefined : { host, kind, port: number };
}

export function isServerName(value: unknown): value is ServerName {
  return parseServerName(value) !== undefined;
}

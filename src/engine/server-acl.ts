import { compileGlob } from '../base/glob.ts';
import type { JsonObject } from '../matrix/pdu.ts';
import { parseServerName, type ServerName } from '../matrix/server-name.ts';

/**
 * Whether `m.room.server_acl` lets a server take part (client-server API, "Server Access Control Lists"). Without such an
 * event everybody is allowed. The port does not count.
 *
 * 1. "If there is no m.room.server_acl event in the room state, allow."
 * 2. "If the server name is an IP address literal (regardless of IPv4 or IPv6), and allow_ip_literals is present and false, deny."
 * 3. "If the server name matches an entry in the deny list, deny."
 * 4. "If the server name matches an entry in the allow list, allow."
 * 5. "Otherwise, deny."
 */
export function isServerAllowedBy(acl: JsonObject | undefined, server: ServerName): boolean {
  if (acl === undefined) return true;
  const parts = parseServerName(server);
  if (!parts) return false;
  if (acl.allow_ip_literals === false && parts.kind !== 'dns') return false;
  const host = parts.kind === 'ipv6' ? `[${parts.host}]` : parts.host;
  if (matchesOne(acl.deny, host)) return false;
  return matchesOne(acl.allow, host);
}

/** An absent or malformed list holds nothing; entries that are no strings are passed over. Case does not count. */
function matchesOne(patterns: unknown, host: string): boolean {
  if (!Array.isArray(patterns)) return false;
  const lower = host.toLowerCase();
  return patterns.some((pattern) => typeof pattern === 'string' && compileGlob(pattern.toLowerCase())(lower));
}

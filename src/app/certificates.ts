import { X509Certificate } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { dirname, join } from 'node:path';
import { makeFolder } from '../base/make-folder.ts';
import { parseServerName } from '../matrix/server-name.ts';

/** A certificate with its private key, both PEM. */
export interface CertificatePair {
  certificate: string;
  key: string;
}

/** Loaded when a certificate is made, which is once a year: it would be a tenth of the time that every start takes. */
async function loadGenerator(): Promise<typeof import('selfsigned').generate> {
  return (await import('selfsigned')).generate;
}

const dayMs = 86_400_000;
const validityDays = 365;

/** A certificate authority for development: whoever trusts it trusts every certificate made with it. */
export async function createAuthority(nowMs: number): Promise<CertificatePair> {
  const made = await (await loadGenerator())([{ name: 'commonName', value: 'Lantern development CA' }], {
    ...common(nowMs),
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    ],
  });
  return { certificate: made.cert, key: made.private };
}

/** A server certificate for these host names and IP addresses; signed by `authority`, or by itself without one. */
export async function createCertificate(
  hosts: readonly string[],
  nowMs: number,
  authority?: CertificatePair,
): Promise<CertificatePair> {
  const altNames = hosts.map((host) =>
    isIP(host) !== 0 ? { type: 7 as const, ip: host } : { type: 2 as const, value: host },
  );
  const made = await (await loadGenerator())([{ name: 'commonName', value: hosts[0] ?? 'localhost' }], {
    ...common(nowMs),
    extensions: [
      { name: 'basicConstraints', cA: false, critical: true },
      { name: 'keyUsage', digitalSignature: true, critical: true },
      { name: 'extKeyUsage', serverAuth: true },
      { name: 'subjectAltName', altNames },
    ],
    ...(authority ? { ca: { key: authority.key, cert: authority.certificate } } : {}),
  });
  return { certificate: made.cert, key: made.private };
}

function common(nowMs: number) {
  return {
    keyType: 'ec' as const,
    curve: 'P-256' as const,
    algorithm: 'sha256',
    notBeforeDate: new Date(nowMs - dayMs),
    notAfterDate: new Date(nowMs + validityDays * dayMs),
  };
}

/** The names a certificate for this server must carry. */
export function certificateHosts(serverName: string): string[] {
  const host = parseServerName(serverName)?.host ?? serverName;
  return host === 'localhost' ? ['localhost', '127.0.0.1', '::1'] : [host];
}

/**
 * The certificate `<folder>/<name>.crt` with its key, made if it is not there, no longer valid within a day, or does not
 * carry the hosts. The key file is readable by its owner only.
 */
export async function ensureCertificate(
  request: { folder: string; name: string; hosts: readonly string[]; authority?: CertificatePair },
  nowMs: number,
): Promise<CertificatePair> {
  const found = findPair(request.folder, request.name);
  if (found && isUsable(found, request.hosts, nowMs)) return found;
  const made = await createCertificate(request.hosts, nowMs, request.authority);
  writePair(request.folder, request.name, made);
  return made;
}

/** The authority `<folder>/<name>.crt`, made if it is not there. */
export async function ensureAuthority(folder: string, name: string, nowMs: number): Promise<CertificatePair> {
  const found = findPair(folder, name);
  if (found) return found;
  const made = await createAuthority(nowMs);
  writePair(folder, name, made);
  return made;
}

function findPair(folder: string, name: string): CertificatePair | undefined {
  const [certificate, key] = [join(folder, `${name}.crt`), join(folder, `${name}.key`)];
  if (!existsSync(certificate) || !existsSync(key)) return undefined;
  return { certificate: readFileSync(certificate, 'utf8'), key: readFileSync(key, 'utf8') };
}

function isUsable(pair: CertificatePair, hosts: readonly string[], nowMs: number): boolean {
  const parsed = new X509Certificate(pair.certificate);
  if (Date.parse(parsed.validTo) < nowMs + dayMs) return false;
  return hosts.every((host) => (isIP(host) === 0 ? parsed.checkHost(host) : parsed.checkIP(host)) !== undefined);
}

function writePair(folder: string, name: string, pair: CertificatePair): void {
  makeFolder(folder);
  writeWhole(join(folder, `${name}.key`), pair.key, 0o600);
  writeWhole(join(folder, `${name}.crt`), pair.certificate, 0o644);
}

function writeWhole(path: string, text: string, mode: number): void {
  makeFolder(dirname(path));
  writeFileSync(`${path}.new`, text, { mode });
  renameSync(`${path}.new`, path);
}

import { resolve } from 'node:path';
import { systemClock } from '../../base/clock.ts';
import { certificateHosts, ensureAuthority, ensureCertificate } from '../certificates.ts';
import { StartError } from '../start-error.ts';
import type { CommandLine } from './run-types.ts';

/** `lantern certificates --out DIR NAME...`: `ca.crt` and `NAME.crt` with their keys; what is there and good stays. */
export async function certificatesCommand({ positionals, options }: CommandLine): Promise<void> {
  if (options.out === undefined || positionals.length === 0)
    throw new StartError('certificates: say where and for whom, such as certificates --out certs hs1 hs2.');
  const folder = resolve(options.out);
  const nowMs = systemClock.now();
  try {
    const authority = await ensureAuthority(folder, 'ca', nowMs);
    for (const name of positionals)
      await ensureCertificate({ folder, name, hosts: certificateHosts(name), authority }, nowMs);
  } catch (error) {
    throw new StartError(
      `${folder}: cannot write certificates (${error instanceof Error ? error.message : 'unknown'}).`,
    );
  }
  process.stdout.write(`Certificates for ${positionals.join(', ')} are in ${folder}, signed by ca.crt there.\n`);
}

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { testIdentity } from '../../test/support/server.ts';

/**
 * For the folder of a server before its start: under its name it listens with TLS, as other servers need it, and trusts the servers that the
 * bench plays. A second port may take the same requests without TLS, where that is not what is measured.
 */
export async function listenWithTls(folder: string, plainPort?: number): Promise<void> {
  const { authority, certificate } = await testIdentity();
  writeFileSync(join(folder, 'authority.crt'), authority.certificate);
  writeFileSync(join(folder, 'tls.crt'), certificate.certificate);
  writeFileSync(join(folder, 'tls.key'), certificate.key);
  const file = join(folder, 'lantern.yaml');
  const config = JSON.parse(readFileSync(file, 'utf8'));
  const [clients, servers] = config.listeners;
  const tls = { certificate: 'tls.crt', key: 'tls.key' };
  const plain = plainPort === undefined ? [] : [{ ...servers, port: plainPort, tls: false }];
  config.listeners = [clients, { ...servers, tls }, ...plain];
  writeFileSync(file, JSON.stringify(config));
}

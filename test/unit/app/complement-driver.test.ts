import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadConfig } from '../../../src/app/config/load.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'complement-driver-test-'));
  mkdirSync(join(folder, 'bin'));
  // In the place of what makes the certificate: that is tried by Complement itself.
  writeFileSync(join(folder, 'bin/openssl'), '#!/bin/sh\nexit 0\n', { mode: 0o755 });
});
afterEach(() => rmSync(folder, { recursive: true }));

/** What `complement/start` would run, with its configuration left behind. */
function start(environment: Record<string, string>) {
  const path = `${join(folder, 'bin')}:${process.env.PATH}`;
  const { stdout, stderr, status, error } = spawnSync('complement/start', {
    encoding: 'utf8',
    env: { PATH: path, NODE: 'echo', DATA_DIR: folder, CA_DIR: '/complement/ca', ...environment },
  });
  if (error) throw error;
  return { stdout, stderr, status };
}

function configOf() {
  const sources = { file: join(folder, 'lantern.yaml'), env: {}, overrides: [], workingDirectory: folder };
  return loadConfig(sources).config;
}

describe("Complement's driver", () => {
  it('starts the built server with a configuration that is good, and open for tests', () => {
    const { stdout, stderr, status } = start({ SERVER_NAME: 'hs1' });
    expect([stderr, status]).toEqual(['', 0]);
    expect(stdout).toMatch(/dist\/main\.js start --config .*lantern\.yaml$/m);
    expect(configOf()).toMatchObject({
      server_name: 'hs1',
      data_dir: folder,
      signing_key: join(folder, 'signing.key'),
      registration: 'open',
      rooms: { default_version: '11' },
      rate_limits: { enabled: false },
      federation: { ca_file: '/complement/ca/ca.crt', allow_private_addresses: true },
    });
  });

  it('listens where it is told, else where a container would', () => {
    start({ SERVER_NAME: 'hs2', CLIENT_ADDRESS: '127.1.2.3', CLIENT_PORT: '1', FEDERATION_ADDRESS: '127.1.2.4' });
    const told = configOf().listeners.map(({ address, port, tls }) => [address, port, tls !== false]);
    expect(told).toEqual([
      ['127.1.2.3', 1, false],
      ['127.1.2.4', 8448, true],
    ]);
    start({ SERVER_NAME: 'hs2' });
    expect(configOf().listeners.map(({ address, port }) => `${address}:${port}`)).toEqual([
      '0.0.0.0:8008',
      '0.0.0.0:8448',
    ]);
  });

  it('reads the registrations of application services that lie there', () => {
    const services = join(folder, 'services of a test');
    mkdirSync(services);
    start({ SERVER_NAME: 'hs1', APPSERVICE_DIR: services });
    expect(configOf().app_service_config_files).toEqual([]);
    for (const name of ['a.yaml', 'b.yaml', 'c.txt']) writeFileSync(join(services, name), '');
    start({ SERVER_NAME: 'hs1', APPSERVICE_DIR: services });
    expect(configOf().app_service_config_files).toEqual([join(services, 'a.yaml'), join(services, 'b.yaml')]);
  });

  it('does not start without a name', () => {
    const { status, stderr } = start({});
    expect([status, stderr]).toEqual([expect.any(Number), expect.stringContaining('SERVER_NAME')]);
    expect(status).not.toBe(0);
  });
});

import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RunningCommand, request } from './process.ts';

let folder: string;
let running: RunningCommand[] = [];

function start(env: Record<string, string> = {}, args: readonly string[] = []): RunningCommand {
  const command = new RunningCommand(['npm', 'start', '--silent', ...(args.length > 0 ? ['--', ...args] : [])], {
    LANTERN_DATA_DIR: join(folder, 'data'),
    LANTERN_SIGNING_KEY: join(folder, 'keys', 'signing.key'),
    ...env,
  });
  running.push(command);
  return command;
}

/** Starts something that must refuse to: its one line on stderr. */
async function refusal(env: Record<string, string> = {}, args: readonly string[] = []): Promise<string> {
  const command = start(env, args);
  expect(await command.ended()).toBe(1);
  expect(command.stderr.trim().split('\n')).toHaveLength(1);
  expect(command.stderr).not.toMatch(/\n\s+at /);
  return command.stderr;
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lantern-smoke-'));
});

afterEach(async () => {
  for (const command of running) await command.interrupt();
  running = [];
  rmSync(folder, { recursive: true, force: true });
});

describe('npm start', () => {
  it('is up with safe defaults, registers by the line it prints, and finds everything again', async () => {
    const first = start();
    await first.untilPrinted(/Lantern is up: localhost:8448/);
    const [, line] = await first.untilPrinted(/\n\s+(curl .*)\n/);
    expect(first.stdout).toMatch(/client\s+http:\/\/127\.0\.0\.1:8008/);
    expect(first.stdout).toMatch(/federation\s+https:\/\/127\.0\.0\.1:8448/);
    expect(first.stdout).toMatch(/log level\s+info/);
    expect(first.stdout).toMatch(/configuration/);
    expect(statSync(join(folder, 'keys', 'signing.key')).mode & 0o777).toBe(0o600);

    const registered = JSON.parse((await promisify(execFile)('sh', ['-c', line ?? ''])).stdout);
    expect(registered).toMatchObject({ user_id: '@alice:localhost:8448', access_token: expect.any(String) });
    await first.interrupt();
    expect(first.stderr).toBe('');

    const second = start();
    await second.untilPrinted(/Lantern is up/);
    const who = await request('GET', 'http://127.0.0.1:8008/_matrix/client/v3/account/whoami', {
      token: registered.access_token,
    });
    expect(who).toMatchObject({ status: 200, body: { user_id: '@alice:localhost:8448' } });
  });

  it('says in one line what keeps it from starting', async () => {
    const taken = createServer();
    await new Promise<void>((done) => taken.listen(0, '127.0.0.1', done));
    const address = taken.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    const listeners = `[{port: ${port}, serves: [client]}]`;
    expect(await refusal({ LANTERN_LISTENERS: listeners })).toContain(`127.0.0.1:${port}`);
    await new Promise((done) => taken.close(done));

    const config = join(folder, 'lantern.yaml');
    writeFileSync(config, 'server_name: example.org\nlog:\n  level: loud\n');
    expect(await refusal({}, ['--config', config])).toContain(`${config}:3: log.level`);
    writeFileSync(config, 'server_name: example.org\nserver_nmae: x\n');
    expect(await refusal({}, ['--config', config])).toContain(`${config}:2: "server_nmae" is not a setting`);
    writeFileSync(config, 'server_name: [\n');
    expect(await refusal({}, ['--config', config])).toContain(`${config}:`);

    writeFileSync(join(folder, 'file'), '');
    expect(await refusal({ LANTERN_DATA_DIR: join(folder, 'file', 'data') })).toContain(join(folder, 'file', 'data'));
  });

  it('refuses a database of a newer version and leaves it as it is', async () => {
    const first = start();
    await first.untilPrinted(/Lantern is up/);
    await first.interrupt();
    const file = join(folder, 'data', 'lantern.db');
    const database = new Database(file);
    database.prepare("INSERT INTO migrations (name, checksum, applied_at_ms) VALUES ('9999_future.sql', '', 0)").run();
    database.close();
    expect(await refusal()).toContain(file);
  });

  it('checks a configuration without starting', async () => {
    const config = join(folder, 'lantern.yaml');
    writeFileSync(config, 'server_name: example.org\n');
    const { stdout } = await promisify(execFile)('node', ['dist/main.js', 'config', 'check', '--config', config]);
    expect(stdout).toContain('example.org');
  });
});

import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { describeStart } from '../../../src/app/cli/banner.ts';
import { runCommandLine } from '../../../src/app/cli/run.ts';
import { configShape } from '../../../src/app/config/shape.ts';
import { startServer } from '../../../src/app/server.ts';
import { StartError } from '../../../src/app/start-error.ts';
import { silentLog } from '../../../src/base/log.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lantern-command-line-'));
});

afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true, force: true });
});

/** What is said on stderr by a command that must refuse: one line. */
async function refusal(...args: string[]): Promise<string> {
  const said = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  expect(await runCommandLine(args)).toBe(1);
  const text = said.mock.calls.map(([chunk]) => String(chunk)).join('');
  expect(text).toMatch(/^lantern: [^\n]+\n$/);
  return text;
}

describe('The command line', () => {
  it.each([
    [['nonsense'], 'no such command: nonsense. See lantern --help.'],
    [['toString'], 'no such command: toString. See lantern --help.'],
    [['config'], 'no such command: config. See lantern --help.'],
    [['start', 'hs1'], 'start takes nothing more: hs1. See lantern --help.'],
    [['config', 'check', 'lantern.yaml'], 'config check takes nothing more: lantern.yaml. See lantern --help.'],
    [['--port=80'], "Unknown option '--port'. See lantern --help."],
    [['--set', 'log.level'], '--set log.level: write it as --set key=value.'],
    [['certificates'], 'certificates: say where and for whom, such as certificates --out certs hs1 hs2.'],
  ])('refuses %j', async (args, message) => {
    expect(await refusal(...args)).toBe(`lantern: ${message}\n`);
  });

  it('says what there is', async () => {
    const said = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    expect(await runCommandLine(['--help'])).toBe(0);
    expect(String(said.mock.calls[0]?.[0])).toContain('lantern config check');
  });
});

describe('What is said when the server is up', () => {
  const say = (settings: object) => {
    const config = configShape.parse(settings);
    const listeners = config.listeners.map(({ port, serves }) => ({ url: `http://0.0.0.0:${port}`, serves }));
    return describeStart({ config, file: undefined, placeOf: () => '' }, { listeners });
  };

  it('is how to go on where one may register', () => {
    expect(say({})).toContain('curl -s -X POST http://127.0.0.1:8008/_matrix/client/v3/register -d');
    expect(say({})).toContain('any Matrix client at http://127.0.0.1:8008\n');
    expect(say({ public_base_url: 'https://hs.example' })).toContain('any Matrix client at https://hs.example\n');
  });

  it('is how to let somebody in where nobody may', () => {
    for (const settings of [
      { registration: 'closed' },
      { listeners: [{ address: '::', port: 1, serves: ['client'] }] },
    ]) {
      expect(say(settings)).toContain('Registration is closed.');
      expect(say(settings)).toContain('registration_shared_secret');
      expect(say(settings)).not.toContain('curl');
    }
  });

  it('is that nobody can sign in where no listener serves clients', () => {
    expect(say({ listeners: [{ port: 1, serves: ['federation'] }] })).toMatch(/\n\nNo listener serves clients\.\n\n$/);
  });
});

describe('A start that has no place for its files', () => {
  // The kernel makes what stands in /proc, and answers that what anybody else makes there is missing.
  it.runIf(existsSync('/proc/self')).each([
    [
      { data_dir: '/proc/nope' },
      '/proc/nope: cannot be made (ENOENT). Choose a folder that can be written with data_dir.',
    ],
    [{ signing_key: '/proc/nope/signing.key' }, '/proc/nope/signing.key: the signing key cannot be written (ENOENT)'],
    [{ database: { file: '/proc/nope/lantern.db' } }, 'cannot make the database folder /proc/nope: ENOENT'],
    [
      { media: { folder: '/proc/nope' } },
      '/proc/nope: cannot be written (ENOENT). Choose another folder for the media.',
    ],
  ])('ends with one line: %j', async (settings, message) => {
    const config = configShape.parse({
      data_dir: folder,
      signing_key: join(folder, 'signing.key'),
      database: { file: join(folder, 'lantern.db') },
      ...settings,
    });
    const error = await startServer(config, { log: silentLog }).then(
      (server) => server.stop(),
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(StartError);
    expect(String(error)).toContain(message);
  });
});

describe('The database of a server', () => {
  const start = (serverName: string) =>
    startServer(
      configShape.parse({
        server_name: serverName,
        data_dir: folder,
        signing_key: join(folder, 'signing.key'),
        database: { file: join(folder, 'lantern.db') },
        listeners: [{ port: 0, serves: ['client'] }],
      }),
      { log: silentLog, placeOf: () => 'here' },
    );
  const register = async (url: string | undefined): Promise<void> => {
    const body = JSON.stringify({ username: 'alice', password: 'correct horse', auth: { type: 'm.login.dummy' } });
    const answer = await fetch(`${url}/_matrix/client/v3/register`, { method: 'POST', body });
    expect(answer.status).toBe(200);
  };

  it('may get another name while nobody has an account, and not afterwards', async () => {
    await (await start('one.example')).stop();
    const second = await start('two.example');
    await register(second.listeners[0]?.url);
    await second.stop();
    const error = await start('one.example').then(
      (server) => server.stop(),
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(StartError);
    expect(String(error)).toContain('is of the server two.example, not of one.example');
    expect(String(error)).toContain('(server_name: here)');
    await (await start('two.example')).stop();
  });
});

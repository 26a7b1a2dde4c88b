import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse as parseYaml } from 'yaml';
import { loadConfig, settingPaths } from '../../../src/app/config/load.ts';
import { configShape, isRegistrationOpen } from '../../../src/app/config/shape.ts';
import { StartError } from '../../../src/app/start-error.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lantern-config-'));
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const load = (text?: string, env: Record<string, string> = {}, overrides: string[] = []) => {
  if (text !== undefined) writeFileSync(join(folder, 'lantern.yaml'), text);
  return loadConfig({ file: undefined, env, overrides, workingDirectory: folder });
};

const failure = (text?: string, env: Record<string, string> = {}, overrides: string[] = []): string => {
  try {
    load(text, env, overrides);
  } catch (error) {
    if (error instanceof StartError) return error.message;
    throw error;
  }
  throw new Error('nothing was wrong');
};

describe('the configuration', () => {
  it('has safe defaults without a file: everything on loopback, data beside the program', () => {
    const { config, file } = load();
    expect(file).toBeUndefined();
    expect(config.server_name).toBe('localhost:8448');
    expect(config.listeners.map(({ address, port, serves, tls }) => [address, port, serves, tls])).toEqual([
      ['127.0.0.1', 8008, ['client'], false],
      ['127.0.0.1', 8448, ['federation'], true],
    ]);
    expect(config.data_dir).toBe(join(folder, 'data'));
    expect(config.signing_key).toBe(join(folder, 'keys/signing.key'));
    expect(config.database.file).toBe(join(folder, 'data/lantern.db'));
  });

  it('is documented key by key: the example file holds every setting with its default', () => {
    const example: unknown = parseYaml(
      readFileSync(resolve(import.meta.dirname, '../../../lantern.example.yaml'), 'utf8'),
    );
    expect(example).toEqual(configShape.parse({}));
  });

  it('lets flags win over the environment, and the environment over the file', () => {
    const text = 'server_name: file.example\nlog:\n  level: error\n  format: json\n';
    const env = { LANTERN_SERVER_NAME: 'env.example', LANTERN_LOG_LEVEL: 'debug' };
    const { config } = load(text, env, ['log.level=warn']);
    expect(config.server_name).toBe('env.example');
    expect(config.log).toEqual({ level: 'warn', format: 'json' });
  });

  it('gives every setting an environment variable', () => {
    expect(settingPaths()).toContainEqual(['federation', 'ca_file']);
    const { config } = load(undefined, { LANTERN_LISTENERS: '[{port: 1, serves: [client, federation]}]' });
    expect(config.listeners).toEqual([
      { address: '127.0.0.1', port: 1, serves: ['client', 'federation'], tls: false, behind_proxy: false },
    ]);
  });

  it('sees relative paths from the folder of the file', () => {
    writeFileSync(join(folder, 'other.yaml'), 'data_dir: d\nfederation:\n  ca_file: ca.crt\n');
    const { config } = loadConfig({ file: join(folder, 'other.yaml'), env: {}, overrides: [], workingDirectory: '/' });
    expect([config.data_dir, config.federation.ca_file]).toEqual([join(folder, 'd'), join(folder, 'ca.crt')]);
  });

  it.each([
    ['a value of the wrong type', 'server_name: a.example\nlog:\n  level: loud\n', 'lantern.yaml:3: log.level'],
    ['an unknown setting', 'server_name: a.example\nserver: x\n', 'lantern.yaml:2: "server" is not a setting'],
    ['an unknown setting inside a section', 'log:\n  levle: info\n', 'lantern.yaml:2: "log.levle" is not a setting'],
    [
      'a value deep in a list',
      'listeners:\n  - port: 1\n    serves: [client]\n  - port: x\n    serves: [client]\n',
      'lantern.yaml:4',
    ],
    ['what is no YAML', 'server_name: a.example\nlog: [\n', 'lantern.yaml:'],
    ['what is no mapping', '- a\n', 'lantern.yaml:1'],
    ['a bad server name', 'server_name: "bad name"\n', 'lantern.yaml:1: server_name: must be a server name'],
  ])('names file and line of %s', (_what, text, expected) => {
    expect(failure(text)).toContain(expected);
    expect(failure(text)).not.toContain('\n');
  });

  it('names the variable or the flag that holds a bad value', () => {
    expect(failure(undefined, { LANTERN_LOG_LEVEL: 'loud' })).toContain('LANTERN_LOG_LEVEL: log.level');
    expect(failure(undefined, { LANTERN_LOGLEVEL: 'info' })).toContain('LANTERN_LOGLEVEL: no such setting');
    expect(failure(undefined, {}, ['log.level=loud'])).toContain('--set log.level: log.level');
    expect(failure(undefined, {}, ['log.level'])).toContain('--set key=value');
    expect(failure(undefined, {}, ['a.b=1'])).toContain('--set a.b: no such setting');
  });

  it('refuses a file that was named and is not there', () => {
    expect(() => loadConfig({ file: 'x.yaml', env: {}, overrides: [], workingDirectory: folder })).toThrow(
      'no such file',
    );
  });
});

describe('registration', () => {
  const isOpen = (text: string): boolean => isRegistrationOpen(configShape.parse(parseYaml(text) ?? {}));

  it('is open while every listener is on loopback', () => {
    expect(isOpen('')).toBe(true);
    expect(isOpen('listeners: [{address: "::1", port: 1, serves: [client]}]')).toBe(true);
  });

  it('is closed as soon as one listener is not', () => {
    const listeners = 'listeners: [{port: 1, serves: [client]}, {address: 0.0.0.0, port: 2, serves: [federation]}]';
    expect(isOpen(listeners)).toBe(false);
    expect(isOpen('listeners: [{address: "::", port: 1, serves: [client]}]')).toBe(false);
    expect(isOpen('listeners: [{address: 127.example.org, port: 1, serves: [client]}]')).toBe(false);
  });

  it('is what the configuration says in words', () => {
    expect(isOpen('registration: open\nlisteners: [{address: 0.0.0.0, port: 1, serves: [client]}]')).toBe(true);
    expect(isOpen('registration: closed')).toBe(false);
  });
});

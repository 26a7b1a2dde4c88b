import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadAppServices } from '../../../src/app/config/app-services.ts';
import { loadConfig } from '../../../src/app/config/load.ts';
import { StartError } from '../../../src/app/start-error.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lantern-services-'));
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** As bridges write it, comments and quotes and all. */
const registration = (id: string, asToken: string) => `# made by a bridge
id: "${id}"
url: 'http://localhost:29317'
as_token: ${asToken}
hs_token: secret
sender_localpart: ${id}bot
rate_limited: false
namespaces:
    users:
        - regex: ^@${id}_.*:localhost$
          exclusive: true
`;

const loadServices = (...texts: string[]) => {
  const names = texts.map((_text, index) => `service-${index}.yaml`);
  for (const [index, name] of names.entries()) writeFileSync(join(folder, name), texts[index] ?? '');
  writeFileSync(join(folder, 'lantern.yaml'), `app_service_config_files: [${names.join(', ')}]\n`);
  const { config } = loadConfig({ file: undefined, env: {}, overrides: [], workingDirectory: folder });
  return loadAppServices(config);
};

const failureOf = (...texts: string[]): StartError => {
  try {
    loadServices(...texts);
  } catch (error) {
    if (error instanceof StartError) return error;
    throw error;
  }
  throw new Error('nothing was wrong');
};

describe('registration files', () => {
  it('are named by the configuration, seen from its folder', () => {
    const services = loadServices(registration('irc', 'a'), registration('xmpp', 'b'));
    expect(services.all.map(({ id, sender }) => [id, sender])).toEqual([
      ['irc', '@ircbot:localhost:8448'],
      ['xmpp', '@xmppbot:localhost:8448'],
    ]);
  });

  it('do not name who speaks for the server as a sender', () => {
    const failure = failureOf(registration('irc', 'a'), registration('xmpp', 'b').replace('xmppbot', '_server'));
    expect(failure.message).toContain('service-1.yaml: sender_localpart is who speaks for the server');
    expect(loadServices(registration('irc', 'a').replace('ircbot', '_servers')).all).toHaveLength(1);
  });

  it('are none by default', () => {
    expect(loadServices().all).toEqual([]);
  });

  it('that cannot be read are named', () => {
    writeFileSync(join(folder, 'lantern.yaml'), 'app_service_config_files: [gone.yaml]\n');
    const { config } = loadConfig({ file: undefined, env: {}, overrides: [], workingDirectory: folder });
    expect(() => loadAppServices(config)).toThrow(`${join(folder, 'gone.yaml')}: cannot be read (ENOENT)`);
  });

  it.each([
    ['no YAML', 'id: "a', 'not valid YAML'],
    ['empty', '', 'the file must be a mapping'],
    ['without a token', 'id: a\nurl: null\n', 'as_token must be a text'],
  ])('that are %s are named with the reason', (_what, text, message) => {
    const error = failureOf(registration('irc', 'a'), text);
    expect(error.message).toContain(`${join(folder, 'service-1.yaml')}: `);
    expect(error.message).toContain(message);
    expect(error.setting).toEqual(['app_service_config_files', 1]);
  });

  it.each([
    ['id', 'irc', 'b'],
    ['as_token', 'xmpp', 'a'],
  ])('that say the same %s as an earlier one are named, and so is the earlier one', (field, id, token) => {
    expect(failureOf(registration('irc', 'a'), registration(id, token)).message).toBe(
      `${join(folder, 'service-1.yaml')}: ${field} is also that of ${join(folder, 'service-0.yaml')}. Give each service one of its own.`,
    );
  });
});

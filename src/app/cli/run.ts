import { parseArgs } from 'node:util';
import { StartError } from '../start-error.ts';
import { certificatesCommand } from './certificates-command.ts';
import { configCheckCommand } from './config-command.ts';
import { pairCommand } from './pair-command.ts';
import { presenceAudienceCommand } from './presence-audience-command.ts';
import type { CommandLine } from './run-types.ts';
import { startCommand } from './start-command.ts';

type Command = (line: CommandLine) => Promise<void>;

const commands: Readonly<Record<string, Command>> = {
  start: startCommand,
  'config check': configCheckCommand,
  pair: pairCommand,
  certificates: certificatesCommand,
  'presence-audience': presenceAudienceCommand,
};

/** The commands that go on with names; the others take none. */
const takeNames: readonly string[] = ['certificates', 'presence-audience'];

const help = `lantern: a federating Matrix homeserver

  lantern [start]                   runs the server until Ctrl-C
  lantern config check              says whether the configuration is good, and where it is
  lantern pair [--json]             two federating servers with alice and bob, until Ctrl-C
  lantern certificates --out DIR NAME...
                                    a development CA and a certificate for each name, made once
  lantern presence-audience [--json] @USER:SERVER
                                    who sees this user's presence, and why; reads the database, also beside a running server

  --config FILE                     the configuration (default: lantern.yaml, if it is there)
  --set KEY=VALUE                   one setting, such as log.level=debug; may be repeated
  --server-name, --data-dir, --log-level VALUE
                                    short for --set server_name=…, data_dir=…, log.level=…

Every setting stands in lantern.example.yaml and has an environment variable: log.level is LANTERN_LOG_LEVEL.`;

/** Runs one command. The exit status: 0, or 1 with one line on stderr. */
export async function runCommandLine(args: readonly string[]): Promise<number> {
  try {
    const parsed = parse(args);
    if (parsed.help) {
      process.stdout.write(`${help}\n`);
      return 0;
    }
    const { command, line } = chooseCommand(parsed);
    await command(line);
    return 0;
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    process.stderr.write(`lantern: ${error.message}\n`);
    return 1;
  }
}

function parse(args: readonly string[]) {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        help: { type: 'boolean', short: 'h', default: false },
        config: { type: 'string', short: 'c' },
        set: { type: 'string', multiple: true, default: [] },
        'server-name': { type: 'string' },
        'data-dir': { type: 'string' },
        'log-level': { type: 'string' },
        json: { type: 'boolean', default: false },
        out: { type: 'string' },
      },
    });
    const short = [
      ['server_name', values['server-name']],
      ['data_dir', values['data-dir']],
      ['log.level', values['log-level']],
    ].flatMap(([key, value]) => (value === undefined ? [] : [`${key}=${JSON.stringify(value)}`]));
    return { help: values.help, positionals, options: { ...values, overrides: [...values.set, ...short] } };
  } catch (error) {
    const [problem] = error instanceof Error ? error.message.split(/\n|\. /) : [];
    throw new StartError(`${problem ?? 'bad options'}. See lantern --help.`);
  }
}

function chooseCommand(parsed: ReturnType<typeof parse>): { command: Command; line: CommandLine } {
  const { positionals, options } = parsed;
  const name = [positionals.slice(0, 2).join(' '), positionals[0] ?? 'start'].find((candidate) =>
    Object.hasOwn(commands, candidate),
  );
  const command = name === undefined ? undefined : commands[name];
  if (name === undefined || !command)
    throw new StartError(`no such command: ${positionals.join(' ')}. See lantern --help.`);
  const rest = positionals.slice(positionals.length === 0 ? 0 : name.split(' ').length);
  if (rest.length > 0 && !takeNames.includes(name))
    throw new StartError(`${name} takes nothing more: ${rest.join(' ')}. See lantern --help.`);
  return { command, line: { positionals: rest, options } };
}

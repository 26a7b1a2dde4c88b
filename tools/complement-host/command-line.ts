import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';

export const usage = `Usage: npm run complement-host -- --driver [IMAGE=]PATH [options] [-- COMMAND...]

  --driver [IMAGE=]PATH  executable that runs one homeserver, for this image or for any; may be repeated
  --socket PATH          unix socket to listen on (default: in a new directory below --data)
  --data DIR             where containers and images live while the tool runs (default: the temporary directory)
  --logs DIR             where the homeservers' logs stay (default: with the data, gone at the end)
  --in DIR               where the COMMAND runs (default: the working directory)

With a COMMAND, runs it against this socket and ends with its exit status; without, serves until SIGINT or SIGTERM.`;

/** A mistake in the command line; its message is for the person who wrote it. */
export class UsageError extends Error {
  override name = 'UsageError';
}

export interface HostOptions {
  readonly help: boolean;
  /** Image name → absolute path; '' for any other image. */
  readonly drivers: ReadonlyMap<string, string>;
  readonly socket: string | undefined;
  readonly dataDirectory: string;
  readonly logDirectory: string | undefined;
  readonly commandDirectory: string;
  readonly command: readonly string[];
}

/** Paths are seen from the working directory. Throws UsageError. */
export function parseCommandLine(args: readonly string[]): HostOptions {
  const { values, positionals } = parse(args);
  if (!values.help && values.driver.length === 0) throw new UsageError('--driver is missing');
  return {
    help: values.help,
    drivers: new Map(values.driver.map(parseDriver)),
    socket: values.socket === undefined ? undefined : resolve(values.socket),
    dataDirectory: resolve(values.data),
    logDirectory: values.logs === undefined ? undefined : resolve(values.logs),
    commandDirectory: resolve(values.in),
    command: positionals,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        driver: { type: 'string', multiple: true, default: [] },
        socket: { type: 'string' },
        data: { type: 'string', default: tmpdir() },
        logs: { type: 'string' },
        in: { type: 'string', default: '.' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/** `IMAGE=PATH`, or `PATH` for every image. */
function parseDriver(option: string): [image: string, path: string] {
  const equals = option.indexOf('=');
  const path = resolve(option.slice(equals + 1));
  if (!existsSync(path)) throw new UsageError(`--driver ${option}: no such file`);
  return [option.slice(0, Math.max(equals, 0)), path];
}

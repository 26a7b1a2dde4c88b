import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { type HostOptions, parseCommandLine, UsageError, usage } from './command-line.ts';
import { createDockerApi } from './docker-api.ts';
import { Engine } from './engine.ts';
import { findNamespaceProblem, launchInNamespace } from './launch.ts';

/** Runs Complement's homeservers as local processes, in place of the Docker Engine. See README.md. */

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

async function main(args: readonly string[]): Promise<number> {
  const options = parseCommandLine(args);
  if (options.help) {
    process.stdout.write(`${usage}\n`);
    return 0;
  }
  const problem = findNamespaceProblem();
  if (problem !== undefined) throw new UsageError(`mount namespaces are needed: ${problem}`);
  return serve(options);
}

async function serve(options: HostOptions): Promise<number> {
  mkdirSync(options.dataDirectory, { recursive: true });
  const directory = mkdtempSync(join(options.dataDirectory, 'complement-host-'));
  const logDirectory = options.logDirectory ?? join(directory, 'logs');
  mkdirSync(logDirectory, { recursive: true });
  const engine = new Engine({ directory, logDirectory, drivers: options.drivers, launch: launchInNamespace, warn });
  process.once('exit', () => {
    for (const container of engine.listContainers()) container.killNow(); // none is left after an orderly end
    rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
  });

  const socket = options.socket ?? join(directory, 'docker.sock');
  rmSync(socket, { force: true });
  const server = createDockerApi(engine, warn);
  server.listen(socket);
  await once(server, 'listening');
  warn(`listening on ${socket}`);
  const status = options.command.length > 0 ? await runCommand(options, socket) : await untilSignalled();
  server.close();
  await engine.stop();
  return status;
}

/** Runs the user's command with this as its Docker, and passes signals on to it. */
async function runCommand({ command, commandDirectory, drivers }: HostOptions, socket: string): Promise<number> {
  const image = [...drivers.keys()][0] || 'homeserver';
  const child = spawn(command[0] ?? '', command.slice(1), {
    cwd: commandDirectory,
    stdio: 'inherit',
    env: { COMPLEMENT_BASE_IMAGE: image, ...process.env, DOCKER_HOST: `unix://${socket}` },
  });
  for (const signal of signals) process.on(signal, () => child.kill(signal));
  const [status, signal]: [number | null, NodeJS.Signals | null] = await new Promise((done, fail) => {
    child.once('error', fail);
    child.once('exit', (...ended) => done(ended));
  });
  return status ?? 128 + (signal === null ? 0 : constants.signals[signal]);
}

function untilSignalled(): Promise<number> {
  return new Promise((done) => {
    for (const signal of signals) process.on(signal, () => done(0));
  });
}

function warn(message: string): void {
  process.stderr.write(`complement-host: ${message}\n`);
}

main(process.argv.slice(2)).then(
  (status) => process.exit(status),
  (error: unknown) => {
    if (error instanceof UsageError) warn(`${error.message}. See --help.`);
    else warn(error instanceof Error ? (error.stack ?? error.message) : String(error));
    process.exit(1);
  },
);

import { loadConfig } from '../config/load.ts';
import { startServer } from '../server.ts';
import { describeStart } from './banner.ts';
import type { CommandLine } from './run-types.ts';
import { untilInterrupted } from './signals.ts';

/** `lantern start`: runs until SIGINT or SIGTERM, then stops cleanly. */
export async function startCommand({ options }: CommandLine): Promise<void> {
  const loaded = loadConfig({
    file: options.config,
    env: process.env,
    overrides: options.overrides,
    workingDirectory: process.cwd(),
  });
  const interrupted = untilInterrupted();
  const server = await startServer(loaded.config, { placeOf: loaded.placeOf });
  process.stdout.write(describeStart(loaded, server));
  await interrupted;
  process.stdout.write('Stopping…\n');
  await server.stop();
}

import { loadAppServices } from '../config/app-services.ts';
import { loadConfig } from '../config/load.ts';
import type { CommandLine } from './run-types.ts';

/** `lantern config check`: loads the configuration as `start` would and says what it came from. */
export async function configCheckCommand({ options }: CommandLine): Promise<void> {
  const { config, file } = loadConfig({
    file: options.config,
    env: process.env,
    overrides: options.overrides,
    workingDirectory: process.cwd(),
  });
  loadAppServices(config);
  process.stdout.write(
    `The configuration is good: ${file ?? 'built-in defaults (no lantern.yaml here)'}, server name ${config.server_name}.\n`,
  );
}

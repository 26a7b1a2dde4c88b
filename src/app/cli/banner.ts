import type { LoadedConfig } from '../config/load.ts';
import { type Config, isRegistrationOpen } from '../config/shape.ts';
import type { RunningServer } from '../server.ts';

/** What a person reads when the server is up: where it listens, who it is, and what to do next. */
export function describeStart(
  { config, file }: LoadedConfig,
  server: Pick<RunningServer, 'listeners' | 'metricsUrl'>,
): string {
  const lines = [
    `Lantern is up: ${config.server_name}`,
    '',
    ...server.listeners.map(({ url, serves }) => `  ${serves.join(' and ').padEnd(21)} ${url}`),
    ...(server.metricsUrl ? [`  ${'metrics'.padEnd(21)} ${server.metricsUrl}`] : []),
    `  ${'log level'.padEnd(21)} ${config.log.level}`,
    `  ${'data'.padEnd(21)} ${config.data_dir}`,
    `  ${'configuration'.padEnd(21)} ${file ?? 'built-in defaults; copy lantern.example.yaml to lantern.yaml to change them'}`,
    '',
  ];
  const client = server.listeners.find(({ serves }) => serves.includes('client'));
  return `${[...lines, ...(client ? nextSteps(config, client.url) : ['No listener serves clients.']), ''].join('\n')}\n`;
}

function nextSteps(config: Config, clientUrl: string): string[] {
  const url = config.public_base_url ?? reachable(clientUrl);
  if (isRegistrationOpen(config))
    return ['Register a user:', '', `  ${registerLine(url)}`, '', `and sign in with any Matrix client at ${url}`];
  return [
    'Registration is closed. "registration: open" lets everybody in who can reach the server; with a',
    '"registration_shared_secret" accounts are made by who knows it. lantern.example.yaml says more.',
  ];
}

/** An address that stands for all of the machine's is none that can be called. */
function reachable(url: string): string {
  return url.replace('//0.0.0.0:', '//127.0.0.1:').replace('//[::]:', '//[::1]:');
}

function registerLine(url: string): string {
  const body = JSON.stringify({ username: 'alice', password: 'correct horse', auth: { type: 'm.login.dummy' } });
  return `curl -s -X POST ${url}/_matrix/client/v3/register -d '${body}'`;
}

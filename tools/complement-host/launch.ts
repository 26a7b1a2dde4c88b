import { type ChildProcess, type SpawnOptions, spawn, spawnSync } from 'node:child_process';

/** What a homeserver is started with. */
export interface LaunchRequest {
  /** The executable that runs it in the foreground. */
  driver: string;
  environment: Readonly<Record<string, string>>;
  workingDirectory: string;
  /** Becomes `/etc/hosts` for this process and its children. */
  hostsFile: string;
  /** File descriptor for both outputs. */
  log: number;
}

/** Starts the driver as the leader of a process group of its own. */
export type Launch = (request: LaunchRequest) => ChildProcess;

/** A private view of the file system; without being root, that takes a user namespace too. */
const namespaceOptions = process.getuid?.() === 0 ? ['--mount'] : ['--mount', '--map-root-user'];

/** Gives the arguments after the first, as a command, the first as /etc/hosts, and lets it die with its parent. */
const withHosts = 'mount --bind "$0" /etc/hosts && exec setpriv --pdeathsig KILL "$@"';

/** Starts the driver in a mount namespace, where /etc/hosts is the container's own. */
export const launchInNamespace: Launch = (request) =>
  spawn('unshare', inNamespace(request.hostsFile, request.driver), spawnOptions(request));

/** What every launch has in common. */
export function spawnOptions({ environment, workingDirectory, log }: LaunchRequest): SpawnOptions {
  return {
    cwd: workingDirectory,
    detached: true, // a process group, so that signals reach the driver's children too
    stdio: ['ignore', log, log],
    env: { ...process.env, ...environment },
  };
}

/**
 * Why homeservers cannot have an /etc/hosts of their own on this machine; undefined: they can. Does all that a launch does: a namespace
 * may be had where nothing may be mounted in it.
 */
export function findNamespaceProblem(unshare = 'unshare'): string | undefined {
  const { status, error, stderr } = spawnSync(unshare, inNamespace('/etc/hosts', 'true'), { encoding: 'utf8' });
  return status === 0 ? undefined : (error?.message ?? stderr.trim());
}

/** The arguments of `unshare`. */
function inNamespace(hostsFile: string, command: string): string[] {
  return [...namespaceOptions, 'sh', '-c', withHosts, hostsFile, command];
}

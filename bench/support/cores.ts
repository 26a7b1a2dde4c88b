import { execFileSync } from 'node:child_process';
import { cpus } from 'node:os';

/** The core that a measured server has for itself, and the one that the load is made on. */
export const serverCore = 0;
export const loadCore = 1;

/** Whether processes can be bound to cores here: `taskset` (util-linux) is there, and there are two cores. */
export function canPin(): boolean {
  pinning ??= findPinning();
  return pinning;
}

let pinning: boolean | undefined;

function findPinning(): boolean {
  // Not `availableParallelism`, which counts what this process is bound to.
  if (cpus().length < 2) return false;
  try {
    execFileSync('taskset', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** The command line that starts a program bound to a core; the program itself where that cannot be. The process id stays the program's. */
export function pinned(command: readonly string[], core: number): readonly string[] {
  return canPin() ? ['taskset', '-c', String(core), ...command] : command;
}

/** Binds this process, all threads of it, to the load's core, so that it takes nothing from the server. */
export function pinThisProcess(): void {
  if (canPin()) execFileSync('taskset', ['-acp', String(loadCore), String(process.pid)], { stdio: 'ignore' });
}

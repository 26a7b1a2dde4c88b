import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** What a process has used so far; read from /proc, so on Linux only. */
export interface ProcessUsage {
  /** Of all its threads, user and system. */
  readonly cpuMs: number;
  readonly rssMiB: number;
  readonly rssPeakMiB: number;
  readonly atMs: number;
}

let ticksPerSecond: number | undefined;

/** Throws where the process is gone. */
export function readUsage(pid: number): ProcessUsage {
  ticksPerSecond ??= Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The command's name, which may hold anything, ends at the last bracket; utime and stime are fields 14 and 15 of the line.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = Number(fields[11]) + Number(fields[12]);
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return {
    cpuMs: (ticks * 1_000) / ticksPerSecond,
    rssMiB: kibibytesIn(status, 'VmRSS') / 1_024,
    rssPeakMiB: kibibytesIn(status, 'VmHWM') / 1_024,
    atMs: performance.now(),
  };
}

function kibibytesIn(status: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? Number.NaN);
}

/** Between two readings: CPU time, and which share of one core that was. */
export function usageBetween(from: ProcessUsage, to: ProcessUsage): { cpuMs: number; share: number } {
  const cpuMs = to.cpuMs - from.cpuMs;
  return { cpuMs, share: cpuMs / (to.atMs - from.atMs) };
}

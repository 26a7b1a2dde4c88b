import { openSync, readSync } from 'node:fs';
import { PerformanceObserver } from 'node:perf_hooks';

/** One turn of the event loop: what lies between two looks. In milliseconds. */
export interface LoopTurn {
  /** What is judged: the wall clock without the time in which the thread was ready and other programs had its core. */
  readonly oursMs: number;
  readonly wallMs: number;
  /** Of this thread; the kernel counts it by the tick, so it may be some milliseconds off. */
  readonly cpuMs: number;
  /** What the garbage collector had of it. */
  readonly collectedMs: number;
}

interface Moment {
  readonly wallMs: number;
  readonly threadMs: number;
  readonly processMs: number;
  /** Ready, but others had the core. */
  readonly waitedMs: number;
}

const noTurn: LoopTurn = { oursMs: 0, wallMs: 0, cpuMs: 0, collectedMs: 0 };

/**
 * The longest turn of the main thread's event loop, told by three clocks: on a busy machine the wall clock also runs while other programs have the core. What
 * our own other threads take of it (collector, hashes, checkpoints) counts as ours. Linux tells it in /proc; without it the wall clock has the word.
 */
export class LoopTurns {
  readonly #schedule = openSchedule();
  readonly #text = Buffer.alloc(100);
  readonly #pauses: { readonly startMs: number; readonly endMs: number }[] = [];
  #last = this.#now();
  #longest: { readonly turn: LoopTurn; readonly startMs: number; readonly endMs: number } | undefined;

  constructor() {
    const observer = new PerformanceObserver((list) => {
      for (const { startTime, duration } of list.getEntries()) {
        if (duration >= 1) this.#pauses.push({ startMs: startTime, endMs: startTime + duration });
      }
    });
    observer.observe({ entryTypes: ['gc'] });
  }

  look(): void {
    const moment = this.#now();
    const last = this.#last;
    this.#last = moment;
    const wallMs = moment.wallMs - last.wallMs;
    // Most turns are not worth a thought.
    if (wallMs <= (this.#longest?.turn.oursMs ?? 0)) return;
    const cpuMs = moment.threadMs - last.threadMs;
    const ofOurOthersMs = moment.processMs - last.processMs - cpuMs;
    const oursMs = wallMs - Math.max(0, moment.waitedMs - last.waitedMs - Math.max(0, ofOurOthersMs));
    if (oursMs <= (this.#longest?.turn.oursMs ?? 0)) return;
    const turn = { oursMs, wallMs, cpuMs, collectedMs: 0 };
    this.#longest = { turn, startMs: last.wallMs, endMs: moment.wallMs };
  }

  /** The longest one since the last question (or the start). */
  async take(): Promise<LoopTurn> {
    this.look();
    const longest = this.#longest;
    // What the collector took is told a little later.
    await new Promise((resolve) => setTimeout(resolve, 5));
    let collectedMs = 0;
    for (const { startMs, endMs } of this.#pauses.splice(0)) {
      if (longest && endMs > longest.startMs && startMs < longest.endMs) collectedMs += endMs - startMs;
    }
    this.#last = this.#now();
    this.#longest = undefined;
    return longest ? { ...longest.turn, collectedMs } : noTurn;
  }

  #now(): Moment {
    const { user, system } = process.cpuUsage();
    const [ranNs = 0, waitedNs = 0] = this.#readSchedule();
    return {
      wallMs: performance.now(),
      threadMs: ranNs / 1e6,
      processMs: (user + system) / 1_000,
      waitedMs: waitedNs / 1e6,
    };
  }

  #readSchedule(): number[] {
    if (this.#schedule === undefined) return [];
    const length = readSync(this.#schedule, this.#text, 0, this.#text.length, 0);
    return this.#text.toString('latin1', 0, length).split(' ').map(Number);
  }
}

/** "time spent on the cpu, time spent waiting on a runqueue" in nanoseconds, of the main thread. */
function openSchedule(): number | undefined {
  try {
    return openSync(`/proc/self/task/${process.pid}/schedstat`, 'r');
  } catch {
    return undefined;
  }
}

/** For the note of a measure. */
export function textOfTurn({ wallMs, cpuMs, collectedMs }: LoopTurn): string {
  return `wall ${wallMs.toFixed(0)}, CPU ${cpuMs.toFixed(0)}, collector ${collectedMs.toFixed(0)} ms`;
}

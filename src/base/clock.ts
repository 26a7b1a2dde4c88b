/** A timer that was set; clearing it twice is harmless. */
export interface Timer {
  clear(): void;
}

/**
 * Time as a dependency. Everything that waits or looks at the hour asks one of these, so that a test can move it.
 * Both readings are milliseconds.
 */
export interface Clock {
  /** Milliseconds since the Unix epoch. May step when the machine's clock is set. */
  now(): number;
  /** Milliseconds that only grow; for measuring how long something took or is still to last. */
  monotonic(): number;
  /** Calls back once, `delayMs` from now, outside the caller's stack. Does not keep the process alive. */
  setTimer(delayMs: number, callback: () => void): Timer;
}

/** The machine's own clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  setTimer(delayMs, callback) {
    const handle = setTimeout(callback, delayMs);
    handle.unref();
    return { clear: () => clearTimeout(handle) };
  },
};

/**
 * Resolves at the first SIGINT or SIGTERM. A second one ends the process at once, for whoever does not want to wait for a
 * clean stop.
 */
export function untilInterrupted(): Promise<void> {
  return new Promise((resolve) => {
    const first = (): void => {
      for (const signal of ['SIGINT', 'SIGTERM'] as const) {
        process.off(signal, first);
        process.on(signal, () => process.exit(130));
      }
      resolve();
    };
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, first);
  });
}

const everyMs = 20;
const limitMs = 90_000;

/**
 * Looks again and again until `look` answers something; that. Rejects after a limit far above what anything here takes, with what `look`
 * last threw, if it did.
 */
export async function until<T>(
  what: string,
  look: () => Promise<T | undefined | false> | T | undefined | false,
): Promise<T> {
  const endsAtMs = performance.now() + limitMs;
  let cause: unknown;
  while (performance.now() < endsAtMs) {
    try {
      const found = await look();
      if (found !== undefined && found !== false) return found;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    await pause(everyMs);
  }
  throw new Error(`${what}: not within ${limitMs} ms`, { cause });
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

import type { Clock } from './clock.ts';

/** No chunk came for too long. */
export class StalledError extends Error {
  override name = 'StalledError';
}

/** The same chunks; throws StalledError, and ends their source, when one of them takes longer than `stallTimeoutMs`. */
export async function* inTime(
  chunks: AsyncIterable<Uint8Array>,
  { clock, stallTimeoutMs }: { clock: Clock; stallTimeoutMs: number },
): AsyncGenerator<Uint8Array, void> {
  const iterator = chunks[Symbol.asyncIterator]();
  let isStalled = false;
  try {
    for (;;) {
      const next = iterator.next();
      const { done, value } = await orStalled(next, clock, stallTimeoutMs).catch((error: unknown) => {
        isStalled = error instanceof StalledError;
        throw error;
      });
      if (done === true) return;
      yield value;
    }
  } finally {
    const ended = iterator.return?.();
    // A source that is stuck answers its end no sooner than its next chunk.
    if (isStalled) ended?.catch(() => {});
    else await ended;
  }
}

function orStalled<T>(next: Promise<T>, clock: Clock, timeoutMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = clock.setTimer(timeoutMs, () => reject(new StalledError(`nothing came for ${timeoutMs} ms`)));
    next.then(resolve, reject).finally(() => timer.clear());
  });
}

import type { IncomingMessage } from 'node:http';
import { inTime, StalledError } from '../../base/chunks.ts';
import type { Clock } from '../../base/clock.ts';
import { MatrixError } from '../../matrix/errors.ts';
import { allowSlowBody } from '../listen.ts';
import { RequestGoneError } from './read-body.ts';

const stallTimeoutMs = 60_000;
const timeoutMs = 60 * 60_000;
/** How long the rest of a body that nobody wants may still come, so that the caller can read the answer. */
const restTimeoutMs = 30_000;

/** The body while it arrives. Throws 408 for one that is too slow, RequestGoneError for one that breaks off. */
export async function* readBytes(request: IncomingMessage, clock: Clock): AsyncGenerator<Uint8Array, void> {
  const endSlowBody = allowSlowBody(request.socket);
  const endsAtMs = clock.monotonic() + timeoutMs;
  try {
    // Leaving the loop must not close the connection, over which the answer is to go.
    for await (const chunk of inTime(request.iterator({ destroyOnReturn: false }), { clock, stallTimeoutMs })) {
      if (clock.monotonic() > endsAtMs) throw tooSlow();
      yield chunk;
    }
  } catch (error) {
    if (error instanceof MatrixError) throw error;
    throw error instanceof StalledError ? tooSlow() : new RequestGoneError('the caller went away');
  } finally {
    endSlowBody();
    if (!request.complete) discardRest(request, clock);
  }
}

function tooSlow(): MatrixError {
  return new MatrixError(408, 'M_UNKNOWN', 'The body did not arrive in time');
}

function discardRest(request: IncomingMessage, clock: Clock): void {
  const timer = clock.setTimer(restTimeoutMs, () => request.destroy());
  request.on('error', () => {});
  request.once('end', () => timer.clear()).once('close', () => timer.clear());
  request.resume();
}

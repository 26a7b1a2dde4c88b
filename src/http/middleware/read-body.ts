import type { IncomingMessage } from 'node:http';
import type { Clock } from '../../base/clock.ts';
import { MatrixError, tooLarge } from '../../matrix/errors.ts';

/** The caller went away before the request was complete. */
export class RequestGoneError extends Error {
  override name = 'RequestGoneError';
}

export interface BodyLimits {
  readonly bytesMax: number;
  readonly timeoutMs: number;
}

/**
 * The whole body. Refuses with M_TOO_LARGE as soon as it is known to be longer than `bytesMax` (the rest is thrown
 * away as it arrives, bounded by the listener's own time limit, so that the caller can read the refusal), and with 408 when
 * it is not complete after `timeoutMs`.
 */
export function readBody(request: IncomingMessage, limits: BodyLimits, clock: Clock): Promise<Buffer> {
  const refuseLarge = (): MatrixError => tooLarge(`The body is longer than ${limits.bytesMax} bytes`);
  const announced = Number(request.headers['content-length'] ?? 0);
  if (announced > limits.bytesMax) {
    request.resume();
    return Promise.reject(refuseLarge());
  }
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const timer = clock.setTimer(limits.timeoutMs, () => {
      fail(new MatrixError(408, 'M_UNKNOWN', 'The body did not arrive in time'));
    });
    const finish = (): void => {
      timer.clear();
      request.off('data', onData).off('end', onEnd).off('error', onGone).off('close', onGone);
      // A late reset of the connection has nobody else who listens.
      request.on('error', () => {});
    };
    const fail = (error: Error): void => {
      finish();
      request.resume();
      reject(error);
    };
    const onData = (chunk: Buffer): void => {
      length += chunk.length;
      if (length > limits.bytesMax) fail(refuseLarge());
      else chunks.push(chunk);
    };
    const onEnd = (): void => {
      finish();
      resolve(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks, length));
    };
    const onGone = (): void => fail(new RequestGoneError('the caller went away'));
    request.on('data', onData).on('end', onEnd).on('error', onGone).on('close', onGone);
  });
}

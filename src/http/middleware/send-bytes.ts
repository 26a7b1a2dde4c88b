import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Clock } from '../../base/clock.ts';
import type { RequestContext } from '../request-state.ts';
import type { ByteReply } from '../route.ts';
import { RequestGoneError } from './read-body.ts';

const stallTimeoutMs = 60_000;

/** Resolves when all is sent. Throws RequestGoneError for a caller who goes away or takes nothing for too long. */
export async function sendBytes(context: RequestContext, reply: ByteReply, clock: Clock): Promise<void> {
  const { res } = context;
  const stream = context.method === 'HEAD' ? undefined : await reply.open();
  context.status = reply.status;
  context.set({ ...reply.headers });
  context.sendHead?.();
  if (stream === undefined) {
    res.end();
    return;
  }
  let timer = clock.setTimer(stallTimeoutMs, () => res.destroy());
  async function* watched(chunks: Readable): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      timer.clear();
      timer = clock.setTimer(stallTimeoutMs, () => res.destroy());
      yield chunk;
    }
  }
  try {
    await pipeline(stream, watched, res);
  } catch (error) {
    // Too late for an answer: the length was announced, so that whoever is still there sees that it broke off.
    throw res.destroyed && isPrematureClose(error) ? new RequestGoneError('the caller went away') : error;
  } finally {
    timer.clear();
  }
}

function isPrematureClose(error: unknown): boolean {
  const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined;
  return ['ERR_STREAM_PREMATURE_CLOSE', 'ECONNRESET', 'EPIPE'].includes(String(code));
}

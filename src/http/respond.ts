import { Readable } from 'node:stream';
import type { Clock } from '../base/clock.ts';
import { LongText } from '../base/json/long-text.ts';
import { sendBytes } from './middleware/send-bytes.ts';
import type { RequestContext } from './request-state.ts';
import { ByteReply, Reply } from './route.ts';

/** Stands for an answer that is already gone. */
const sent = Symbol('sent');

/** Resolves when all bytes are gone. */
export async function send(
  { clock }: { readonly clock: Clock },
  context: RequestContext,
  reply: ByteReply,
): Promise<unknown> {
  await sendBytes(context, reply, clock);
  return sent;
}

/** Answers with what a route gave. Resolves when all is gone where that is long. */
export function respond(
  deps: { readonly clock: Clock },
  context: RequestContext,
  result: unknown,
): Promise<void> | undefined {
  if (result === sent) return undefined;
  const reply = result instanceof Reply ? result : new Reply(200, result ?? {});
  if (reply.text instanceof LongText) return sendLong(deps, context, { ...reply, text: reply.text });
  context.status = reply.status;
  context.set('Content-Type', 'application/json');
  context.set(reply.headers);
  context.body = reply.text;
  return undefined;
}

/** Chunk by chunk, as the caller takes them. */
function sendLong(
  { clock }: { readonly clock: Clock },
  context: RequestContext,
  { status, headers, text }: Reply & { readonly text: LongText },
): Promise<void> {
  const all = { 'Content-Type': 'application/json', 'Content-Length': String(text.byteLength), ...headers };
  return sendBytes(context, new ByteReply(status, all, async () => Readable.from(text.chunks)), clock);
}

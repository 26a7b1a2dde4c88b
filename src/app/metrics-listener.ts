import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Log } from '../base/log.ts';
import type { ReadableMetrics } from '../base/metrics.ts';
import { listen } from '../http/listen.ts';
import type { Config } from './config/shape.ts';

/** `GET /metrics`, on a listener of its own: clients and other servers never reach it. Returns its URL. */
export async function openMetricsListener(
  { metrics: { address, port } }: Config,
  given: { readonly metrics: ReadableMetrics; readonly log: Log },
  undo: (() => Promise<void>)[],
): Promise<string> {
  const listening = await listen({
    address,
    port,
    listener: (request, response) => {
      answer(given.metrics, request, response).catch((err: unknown) => {
        given.log.error({ err }, 'the metrics could not be read');
        end(response, 500, '');
      });
    },
  });
  undo.unshift(() => listening.stop());
  return `${listening.url}/metrics`;
}

async function answer(metrics: ReadableMetrics, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.url?.split('?')[0] !== '/metrics') return end(response, 404, 'Only /metrics is here\n');
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('Allow', 'GET, HEAD');
    return end(response, 405, '');
  }
  const text = await metrics.read();
  response.setHeader('Content-Type', metrics.contentType);
  end(response, 200, request.method === 'HEAD' ? '' : text);
}

function end(response: ServerResponse, status: number, text: string): void {
  if (response.headersSent) return;
  response.statusCode = status;
  response.end(text);
}

import { parseJson } from '../../base/json/json.ts';
import { type OutgoingHttp, OutgoingHttpError, type OutgoingTarget } from '../../base/network/outgoing-http.ts';
import { SlotsFullError } from '../../base/tasks/slots.ts';
import { SlotsByKey } from '../../base/tasks/slots-by-key.ts';
import type { JsonObject } from '../../matrix/pdu.ts';

/** failed: to be tried again. */
export type GatewayAnswer =
  | { readonly outcome: 'taken'; readonly rejected: readonly string[] }
  | { readonly outcome: 'failed'; readonly reason: string };

/** Push gateways, which users name and nobody vouches for. */
export interface Gateway {
  notify(url: string, body: JsonObject, signal: AbortSignal): Promise<GatewayAnswer>;
}

const timeoutMs = 10_000;
const responseBytesMax = 64 * 1024;
/** Most users have the same gateway; one that hangs takes nothing from the others. */
const callsPerHost = { runningMax: 16, waitingMax: 20_000 };

export function createGateway({ http }: { http: Pick<OutgoingHttp, 'request'> }): Gateway {
  const slots = new SlotsByKey(callsPerHost);
  return {
    async notify(url, body, signal) {
      const { target, path, host } = readUrl(url);
      const request = {
        target,
        method: 'POST' as const,
        path,
        headers: { host, 'content-type': 'application/json', 'user-agent': 'Lantern' },
        body: JSON.stringify(body),
        timeoutMs,
        responseBytesMax,
        signal,
      };
      try {
        const response = await slots.run(host, () => http.request(request));
        if (response.status !== 200) return { outcome: 'failed', reason: `it answers ${response.status}` };
        return { outcome: 'taken', rejected: readRejected(response.body) };
      } catch (error) {
        if (!(error instanceof OutgoingHttpError) && !(error instanceof SlotsFullError)) throw error;
        return { outcome: 'failed', reason: error.message };
      }
    },
  };
}

/** Of a pusher, whose URL was checked when it was set. */
function readUrl(text: string): { target: OutgoingTarget; path: string; host: string } {
  const url = new URL(text);
  const target: OutgoingTarget = {
    scheme: 'https',
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? 443 : Number(url.port),
  };
  return { target, path: url.pathname + url.search, host: url.host };
}

/** Whatever is not of the shape that it should have rejects nothing. */
function readRejected(body: Buffer): string[] {
  const parsed = parseJson(body);
  if (parsed.outcome !== 'parsed' || typeof parsed.value !== 'object' || parsed.value === null) return [];
  const rejected: unknown = Reflect.get(parsed.value, 'rejected');
  return Array.isArray(rejected) ? rejected.filter((key) => typeof key === 'string') : [];
}

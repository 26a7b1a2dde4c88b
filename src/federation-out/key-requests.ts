import { canonicalJson } from '../base/json/canonical-json.ts';
import { parseJson } from '../base/json/json.ts';
import type { OutgoingHttp } from '../base/network/outgoing-http.ts';
import { isObject } from '../engine/members.ts';
import type { Discovery } from './discovery.ts';
import type { QueryNotary } from './notaries.ts';
import { FederationError } from './requests-contract.ts';
import { tryTargets } from './signed-call.ts';

const timeoutMs = 10_000;
const responseBytesMax = 1024 * 1024;

/** `POST /_matrix/key/v2/query`, which nobody signs. */
export function createNotaryQuery(deps: { discovery: Discovery; http: OutgoingHttp }): QueryNotary {
  return async (notary, query) => {
    const response = await tryTargets(await deps.discovery.resolve(notary), (target, resolved) =>
      deps.http.request({
        target: { scheme: 'https', ...target, certificateName: resolved.certificateName },
        method: 'POST',
        path: '/_matrix/key/v2/query',
        headers: { host: resolved.hostHeader, accept: 'application/json', 'content-type': 'application/json' },
        body: canonicalJson(query),
        timeoutMs,
        responseBytesMax,
      }),
    );
    if (response.status !== 200) throw new FederationError('refused', `answered ${response.status}`, response.status);
    const parsed = parseJson(response.body);
    const objects = parsed.outcome === 'parsed' && isObject(parsed.value) ? parsed.value.server_keys : undefined;
    if (!Array.isArray(objects)) throw new FederationError('bad_answer', 'answered without server_keys', 200);
    return objects;
  };
}

import { parseExactJson } from '../base/json/exact-json.ts';
import { parseJson } from '../base/json/json.ts';
import type { OutgoingHttp } from '../base/network/outgoing-http.ts';
import { isObject } from '../engine/members.ts';
import type { Discovery } from './discovery.ts';
import { createEventRequests } from './event-requests.ts';
import { createJoinRequests } from './join-requests.ts';
import type { FetchServerKeys } from './key-ring.ts';
import { createQueryRequests } from './query-requests.ts';
import { FederationError, type FederationRequests } from './requests-contract.ts';
import { type CallDeps, createSignedCall, type SendCall, tryTargets } from './signed-call.ts';
import { createUserKeyRequests } from './user-key-requests.ts';

const secondMs = 1_000;
const kibibyte = 1_024;

/** Every request that the specification has us make. All throw FederationError and none is made to ourselves. */
export function createFederationRequests(deps: CallDeps): FederationRequests {
  const send = createSignedCall(deps);
  return {
    ...createJoinRequests(send),
    ...createEventRequests(send),
    ...createQueryRequests(send),
    ...createUserKeyRequests(send),
    ...createTransactionRequest(send),
  };
}

function createTransactionRequest(send: SendCall): Pick<FederationRequests, 'sendTransaction'> {
  return {
    async sendTransaction(server, transactionId, { text }) {
      // As it was written: the signature of the request covers the numbers of old events like that.
      const parsed = parseExactJson(text);
      if (parsed.outcome !== 'parsed' || !isObject(parsed.value)) {
        throw new FederationError('refused', `the transaction for ${server} is not JSON that can be sent`);
      }
      const { body } = await send({
        server,
        method: 'PUT',
        path: ['v1', 'send', transactionId],
        content: parsed.value,
        timeoutMs: 60 * secondMs,
        responseBytesMax: 512 * kibibyte,
        // The sender waits out the back-off itself; the server may have been heard of since.
        heedBackoff: 'no',
        only200IsWell: true,
      });
      return { pdus: isObject(body.pdus) ? body.pdus : {} };
    },
  };
}

/** `GET /_matrix/key/v2/server`, which nobody signs. What comes is checked by the key ring. */
export function createKeyFetch(deps: { discovery: Discovery; http: OutgoingHttp }): FetchServerKeys {
  return async (server) => {
    const response = await tryTargets(await deps.discovery.resolve(server), (target, resolved) =>
      deps.http.request({
        target: { scheme: 'https', ...target, certificateName: resolved.certificateName },
        method: 'GET',
        path: '/_matrix/key/v2/server',
        headers: { host: resolved.hostHeader, accept: 'application/json' },
        timeoutMs: 10 * secondMs,
        responseBytesMax: 256 * kibibyte,
      }),
    );
    if (response.status !== 200) throw new FederationError('refused', `answered ${response.status}`, response.status);
    const parsed = parseJson(response.body);
    if (parsed.outcome !== 'parsed' || !isObject(parsed.value)) {
      throw new FederationError('bad_answer', 'answered with no JSON object', 200);
    }
    return parsed.value;
  };
}
